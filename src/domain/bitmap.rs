//! A 1-bit picture: what a print head burns, dot by dot.
//!
//! The label room draws it, the printer languages send it; both mean the same bits.
//! Invariant: rows are padded to whole bytes, padding bits are 0 (white), the first dot of a row
//! is the highest bit of its first byte, 1 = black.

/// One page at the head's resolution, one bit per dot.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitmap {
    /// Dots across the head.
    pub width: u32,
    /// Dots along the feed.
    pub height: u32,
    /// Rows from top to bottom, `stride()` bytes each, 1 = black, padding bits 0.
    pub bits: Vec<u8>,
}

impl Bitmap {
    /// An empty (white) page.
    pub fn new_white(width: u32, height: u32) -> Self {
        let bytes = width.div_ceil(8) as usize * height as usize;
        Self {
            width,
            height,
            bits: vec![0; bytes],
        }
    }

    /// A page from packed rows; `None` when the length is not `stride * height`.
    /// Padding bits are cleared, so that outside data keeps the invariant.
    pub fn from_bits(width: u32, height: u32, mut bits: Vec<u8>) -> Option<Self> {
        let stride = width.div_ceil(8) as usize;
        if bits.len() != stride.checked_mul(height as usize)? {
            return None;
        }
        if !width.is_multiple_of(8) {
            let keep = 0xff_u8 << (8 - width % 8);
            for row in bits.chunks_exact_mut(stride) {
                if let Some(last) = row.last_mut() {
                    *last &= keep;
                }
            }
        }
        Some(Self {
            width,
            height,
            bits,
        })
    }

    /// Bytes of one row.
    pub fn stride(&self) -> u32 {
        self.width.div_ceil(8)
    }

    /// Whether the dot is black; dots outside the page are white.
    pub fn is_black(&self, x: u32, y: u32) -> bool {
        x < self.width
            && y < self.height
            && self
                .bits
                .get(self.index(x, y))
                .is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    /// Makes the dot black; dots outside the page are ignored.
    pub fn set_black(&mut self, x: u32, y: u32) {
        if x < self.width && y < self.height {
            let index = self.index(x, y);
            if let Some(byte) = self.bits.get_mut(index) {
                *byte |= 0x80 >> (x % 8);
            }
        }
    }

    /// The bytes of row `y`; empty below the page.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.stride() as usize;
        let start = stride * y as usize;
        self.bits.get(start..start + stride).unwrap_or(&[])
    }

    /// How many dots are black.
    pub fn black(&self) -> u64 {
        self.bits.iter().map(|b| u64::from(b.count_ones())).sum()
    }

    fn index(&self, x: u32, y: u32) -> usize {
        self.stride() as usize * y as usize + (x / 8) as usize
    }
}

/// Size and ink, not a hundred thousand numbers: this ends up in logs and failed assertions.
impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Bitmap({} x {}, {} black)",
            self.width,
            self.height,
            self.black()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn bits_of_the_wrong_length_are_refused() {
        assert_eq!(Bitmap::from_bits(9, 2, vec![0; 3]), None);
        assert_eq!(Bitmap::from_bits(u32::MAX, u32::MAX, vec![]), None);
    }

    #[test]
    fn padding_is_white_whatever_came_from_outside() {
        let bitmap = Bitmap::from_bits(9, 2, vec![0xff; 4]).unwrap();
        assert_eq!(bitmap.bits, [0xff, 0x80, 0xff, 0x80]);
        assert_eq!(bitmap.black(), 18);
    }

    #[test]
    fn dots_outside_the_page_are_white_and_cannot_be_set() {
        let mut bitmap = Bitmap::new_white(9, 2);
        bitmap.set_black(9, 0);
        bitmap.set_black(0, 2);
        assert_eq!(bitmap.black(), 0);
        assert!(!bitmap.is_black(9, 0));
        assert_eq!(bitmap.row(2), &[] as &[u8]);
    }

    #[test]
    fn the_first_dot_is_the_highest_bit() {
        let mut bitmap = Bitmap::new_white(10, 2);
        bitmap.set_black(0, 0);
        bitmap.set_black(9, 1);
        assert_eq!(bitmap.bits, [0x80, 0, 0, 0x40]);
        assert!(bitmap.is_black(9, 1));
        assert_eq!(bitmap.row(1), [0, 0x40]);
    }
}
