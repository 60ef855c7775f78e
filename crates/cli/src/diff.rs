//! How two texts differ, line by line.

/// Texts of more lines are not compared line by line, which takes time in their product.
const MOST_LINES: usize = 2_000;
/// Lines that are shown around a difference.
const AROUND: usize = 2;

/// A line of one text, or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Only in the first text.
    Removed(&'a str),
    /// Only in the second text.
    Added(&'a str),
    /// In both.
    Same(&'a str),
    /// Lines that are in both were left out.
    LeftOut,
}

/// The lines of a longest common subsequence, and those that are in one of the texts only. A last
/// line without an end differs from one with an end.
pub(crate) fn lines<'a>(first: &'a str, second: &'a str) -> Vec<Line<'a>> {
    let (a, b): (Vec<_>, Vec<_>) =
        (first.split_inclusive('\n').collect(), second.split_inclusive('\n').collect());
    if a.len() > MOST_LINES || b.len() > MOST_LINES {
        let removed = a.into_iter().map(Line::Removed);
        return removed.chain(b.into_iter().map(Line::Added)).collect();
    }
    // The length of the longest common subsequence of the ends of both texts from (i, j) on.
    let mut common = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut all) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            all.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j >= b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            all.push(Line::Removed(a[i]));
            i += 1;
        } else {
            all.push(Line::Added(b[j]));
            j += 1;
        }
    }
    shortened(&all)
}

/// Leaves out lines that are in both and far from any difference.
fn shortened<'a>(all: &[Line<'a>]) -> Vec<Line<'a>> {
    let near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        let around = all.get(from..(at + AROUND + 1).min(all.len())).unwrap_or_default();
        around.iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut kept = Vec::new();
    for (at, line) in all.iter().enumerate() {
        if near(at) {
            kept.push(*line);
        } else if kept.last() != Some(&Line::LeftOut) {
            kept.push(Line::LeftOut);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_shown_with_those_around_them() {
        let first = "1\n2\n3\n4\n5\n6\n7\n";
        let second = "1\n2\n3\n4\nfive\n6\n7\n";
        assert_eq!(
            lines(first, second),
            [
                Line::LeftOut,
                Line::Same("3\n"),
                Line::Same("4\n"),
                Line::Removed("5\n"),
                Line::Added("five\n"),
                Line::Same("6\n"),
                Line::Same("7\n"),
            ]
        );
        assert_eq!(lines("a", "a\n"), [Line::Removed("a"), Line::Added("a\n")]);
        assert_eq!(lines("", "a"), [Line::Added("a")]);
        assert_eq!(lines("a", ""), [Line::Removed("a")]);
    }

    #[test]
    fn long_texts_are_compared_in_no_time() {
        let (first, second) = ("a\n".repeat(100_000), "b\n".repeat(100_000));
        assert_eq!(lines(&first, &second).len(), 200_000);
    }
}
