//! One page of a list: which rows, how much of each, and the paging headers.

use crate::sim::cartoncloud::api::{Answer, Ask};
use crate::sim::cartoncloud::render::shown;
use crate::sim::cartoncloud::switches::{PagingHeaders, Switches};
use crate::sim::site::Reply;
use crate::sim::site::faults::Hits;
use serde_json::{Value, json};

/// Rows on a page unless asked otherwise, and at most.
const DEFAULT: usize = 50;
const MOST: usize = 200;

/// The page that was asked for; `most` bounds its size beside [`MOST`].
pub(crate) fn page(
    rows: &[&Value],
    ask: &Ask,
    hits: &Hits,
    switches: &Switches,
    most: usize,
) -> Answer {
    let number = ask.count("page", 1)?;
    let size = ask.count("size", DEFAULT)?.min(MOST).min(most);
    let pages = rows.len().div_ceil(size);
    // What moves while a client turns pages: one came in front, or one left.
    let start = (number - 1).saturating_mul(size);
    let start = match number {
        1 => start,
        _ if hits.has("page_repeats") => start - 1,
        _ if hits.has("page_skips") => start + 1,
        _ => start,
    };
    let minimal = ask.prefer.contains("return=minimal");
    let one = |row: &&Value| {
        if !minimal {
            return shown(row, switches);
        }
        match row.get("content") {
            Some(content) => {
                json!({"id": row["id"], "type": row["type"], "content": {"name": content["name"]}})
            }
            None => json!({"id": row["id"]}),
        }
    };
    let body: Vec<Value> = rows.iter().skip(start).take(size).map(one).collect();
    let mut reply = Reply::json(200, &Value::Array(body));
    if switches.paging_headers == PagingHeaders::Sent {
        let at =
            |n: usize, rel: &str| format!("<{}?page={n}&size={size}>; rel=\"{rel}\"", ask.path);
        let mut links = vec![at(1, "first"), at(pages.max(1), "last")];
        if number < pages {
            links.push(at(number + 1, "next"));
        }
        reply = reply
            .with("total-pages", pages.to_string())
            .with("page-size", size.to_string())
            .with("page-number", number.to_string())
            .with("total-elements", rows.len().to_string())
            .with("link", links.join(", "));
    }
    if minimal {
        reply = reply.with("preference-applied", "return=minimal");
    }
    Ok(reply)
}
