//! IPP messages: attributes as bytes, written for our three operations, read with bounds.
//!
//! Format: RFC 8010 (encoding) and RFC 8011 (model). Only the value kinds that printers use for
//! what we ask are kept as values; others are skipped by their length.

/// Longest answer that is read, bytes.
pub(crate) const MOST: usize = 256 * 1024;
/// Most values of one answer.
const MOST_VALUES: usize = 20_000;

const OPERATION_GROUP: u8 = 1;
const JOB_GROUP: u8 = 2;
const END: u8 = 3;

const INTEGER: u8 = 0x21;
const BOOLEAN: u8 = 0x22;
const ENUM: u8 = 0x23;
const BEGIN_COLLECTION: u8 = 0x34;
const END_COLLECTION: u8 = 0x37;
const NAME: u8 = 0x42;
const KEYWORD: u8 = 0x44;
const URI: u8 = 0x45;
const CHARSET: u8 = 0x47;
const LANGUAGE: u8 = 0x48;
const MIME: u8 = 0x49;
const MEMBER_NAME: u8 = 0x4a;

/// What we ask a printer to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    PrintJob,
    CancelJob,
    GetJobAttributes,
    GetPrinterAttributes,
}

impl Operation {
    fn code(self) -> u16 {
        match self {
            Self::PrintJob => 0x0002,
            Self::CancelJob => 0x0008,
            Self::GetJobAttributes => 0x0009,
            Self::GetPrinterAttributes => 0x000b,
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request to the printer of this address.
    pub fn new(operation: Operation, uri: &str) -> Self {
        let mut bytes = vec![2, 0];
        bytes.extend_from_slice(&operation.code().to_be_bytes());
        bytes.extend_from_slice(&1_u32.to_be_bytes());
        bytes.push(OPERATION_GROUP);
        let mut request = Self(bytes);
        request.put(CHARSET, "attributes-charset", b"utf-8");
        request.put(LANGUAGE, "attributes-natural-language", b"en");
        request.put(URI, "printer-uri", uri.as_bytes());
        request
    }

    pub fn job_id(mut self, id: i32) -> Self {
        self.put(INTEGER, "job-id", &id.to_be_bytes());
        self
    }

    pub fn user(mut self) -> Self {
        self.put(NAME, "requesting-user-name", b"printstation");
        self
    }

    pub fn name(mut self, name: &str, text: &str) -> Self {
        self.put(NAME, name, clip(text).as_bytes());
        self
    }

    pub fn format(mut self, mime: &str) -> Self {
        self.put(MIME, "document-format", mime.as_bytes());
        self
    }

    /// What is asked for.
    pub fn wanted(mut self, names: &[&str]) -> Self {
        for (index, name) in names.iter().enumerate() {
            let key = if index == 0 {
                "requested-attributes"
            } else {
                "" // a further value
            };
            self.put(KEYWORD, key, name.as_bytes());
        }
        self
    }

    /// From here on the job's attributes.
    pub fn job(mut self) -> Self {
        self.0.push(JOB_GROUP);
        self
    }

    pub fn keyword(mut self, name: &str, value: &str) -> Self {
        self.put(KEYWORD, name, value.as_bytes());
        self
    }

    /// `media-col` with a size, hundredths of a millimetre, and no margins: the picture is the page.
    pub fn media(mut self, (width, height): (i32, i32)) -> Self {
        self.put(BEGIN_COLLECTION, "media-col", b"");
        self.put(MEMBER_NAME, "", b"media-size");
        self.put(BEGIN_COLLECTION, "", b"");
        for (name, value) in [("x-dimension", width), ("y-dimension", height)] {
            self.put(MEMBER_NAME, "", name.as_bytes());
            self.put(INTEGER, "", &value.to_be_bytes());
        }
        self.put(END_COLLECTION, "", b"");
        self.put(END_COLLECTION, "", b"");
        self
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(END);
        self.0
    }

    fn put(&mut self, tag: u8, name: &str, value: &[u8]) {
        self.0.push(tag);
        for part in [name.as_bytes(), value] {
            // Ours are all short; `clip` sees to those from outside.
            let length = u16::try_from(part.len()).unwrap_or(0);
            self.0.extend_from_slice(&length.to_be_bytes());
            self.0
                .extend_from_slice(part.get(..usize::from(length)).unwrap_or(&[]));
        }
    }
}

/// A name has at most 255 bytes.
fn clip(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '_' } else { c })
        .take(60)
        .collect()
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Integer(i32),
    Boolean(bool),
    Text(String),
}

/// An answer, its attributes in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Status; below 0x100 is success.
    pub status: u16,
    values: Vec<(String, Value)>,
}

impl Reply {
    /// Reads an answer; `None` when it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let major = bytes.byte()?;
        bytes.byte()?;
        if !(1..=2).contains(&major) {
            return None;
        }
        let status = bytes.short()?;
        bytes.take(4)?; // request id
        let mut values: Vec<(String, Value)> = Vec::new();
        let mut last = String::new();
        let mut depth = 0_usize;
        loop {
            let tag = bytes.byte()?;
            match tag {
                END => break,
                0..=0x0f => {
                    last.clear();
                    continue;
                }
                _ => {}
            }
            let name = usize::from(bytes.short()?);
            let name = bytes.take(name)?;
            let value = usize::from(bytes.short()?);
            let value = bytes.take(value)?;
            if !name.is_empty() {
                last = String::from_utf8_lossy(name).into_owned();
            }
            match tag {
                BEGIN_COLLECTION => depth += 1,
                END_COLLECTION => depth = depth.checked_sub(1)?,
                // Members of collections have other names than attributes; they are not asked for.
                _ if depth > 0 => {}
                _ => {
                    if let Some(value) = read(tag, value) {
                        values.push((last.clone(), value));
                    }
                }
            }
            if values.len() > MOST_VALUES {
                return None;
            }
        }
        Some(Self { status, values })
    }

    pub fn is_good(&self) -> bool {
        self.status < 0x100
    }

    pub fn integer(&self, name: &str) -> Option<i32> {
        self.all(name).find_map(|value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        })
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.all(name).find_map(|value| match value {
            Value::Boolean(is_so) => Some(*is_so),
            _ => None,
        })
    }

    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.values
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value)
    }
}

fn read(tag: u8, value: &[u8]) -> Option<Value> {
    match tag {
        INTEGER | ENUM => Some(Value::Integer(i32::from_be_bytes(value.try_into().ok()?))),
        BOOLEAN => match value {
            [byte] => Some(Value::Boolean(*byte != 0)),
            _ => None,
        },
        0x41..=0x49 => Some(Value::Text(String::from_utf8_lossy(value).into_owned())),
        _ => None, // out of band, dates, resolutions, ranges
    }
}

/// What is left of an answer.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_an_answer_is_no_answer() {
        let whole = Request::new(Operation::PrintJob, "ipp://a/b")
            .user()
            .job()
            .media((10_160, 15_240))
            .keyword("print-scaling", "none")
            .finish();
        // A request reads like an answer, with the operation where the status is.
        let reply = Reply::parse(&whole).unwrap();
        assert_eq!(reply.status, 2);
        assert_eq!(
            reply.texts("printer-uri").collect::<Vec<_>>(),
            ["ipp://a/b"]
        );
        assert_eq!(reply.texts("print-scaling").collect::<Vec<_>>(), ["none"]);
        assert_eq!(reply.integer("x-dimension"), None);
        for end in 0..whole.len() {
            assert_eq!(Reply::parse(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn further_values_belong_to_the_name_before() {
        let bytes = Request::new(Operation::GetPrinterAttributes, "ipp://a")
            .wanted(&["printer-state", "media-ready"])
            .finish();
        let reply = Reply::parse(&bytes).unwrap();
        let wanted: Vec<_> = reply.texts("requested-attributes").collect();
        assert_eq!(wanted, ["printer-state", "media-ready"]);
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_station_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Reply::parse(&bytes);
            let mut framed = vec![2, 0, 0, 0, 0, 0, 0, 1, 4];
            framed.extend_from_slice(&bytes);
            let _ = Reply::parse(&framed);
        }
    }
}
