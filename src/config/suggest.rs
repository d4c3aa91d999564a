//! "Did you mean": the nearest of the words that would have been right.

/// The nearest word, when it is near enough to be what was meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    right: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = fold(wrong);
    right
        .into_iter()
        .map(|word| (distance(&wrong, &fold(word)), word))
        .filter(|(far, word)| *far <= 1 + word.len().min(wrong.len()) / 4)
        .min_by_key(|(far, _)| *far)
        .map(|(_, word)| word)
}

/// `Poll-Interval` is a spelling of `poll_interval`, not a typing error.
fn fold(word: &str) -> Vec<char> {
    word.chars()
        .take(64)
        .map(|c| {
            if c == '-' || c == ' ' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other: optimal string
/// alignment.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut rows = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (rows[(i - 1) * width + j] + 1)
                    .min(rows[i * width + j - 1] + 1)
                    .min(rows[(i - 1) * width + j - 1] + same);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[(i - 2) * width + j - 2] + 1);
                }
                best
            };
        }
    }
    rows[rows.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[track_caller]
    fn check(wrong: &str, expected: Option<&str>) {
        let words = [
            "threshold",
            "darkness",
            "dpi",
            "media",
            "name",
            "poll_interval",
        ];
        assert_eq!(nearest(wrong, words), expected, "{wrong}");
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_nonsense_finds_none() {
        check("treshold", Some("threshold"));
        check("thershold", Some("threshold"));
        check("Threshold", Some("threshold"));
        check("poll-interval", Some("poll_interval"));
        check("dip", Some("dpi"));
        check("colour", None);
        check("", None);
    }
}
