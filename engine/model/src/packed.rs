//! A packed batch: token sequences laid end to end, with the borders that attention must not cross.

/// A run of tokens that attends to itself, causally, and to one earlier segment that it continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index of the first token in the batch.
    pub start: usize,
    /// Number of tokens, at least one.
    pub len: usize,
    /// Index of the segment that this one continues, which has no prefix itself. The samples of one prompt share it so.
    pub prefix: Option<usize>,
}

/// Token sequences laid end to end.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// `[tokens]`.
    pub ids: Vec<u32>,
    /// `[tokens]`: position of each token in its sequence; a continuation counts on from its prefix.
    pub positions: Vec<u32>,
    /// In order, covering all tokens; the continuations of a segment follow it directly.
    pub segments: Vec<Segment>,
}

/// A segment without prefix and its continuations: what one attention task works on.
pub(crate) struct Family {
    pub root: usize,
    pub end: usize,
}

impl Packed {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the batch holds no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Appends a sequence of its own, at positions `0..ids.len()`, and returns its segment's index.
    ///
    /// # Panics
    /// When `ids` is empty.
    pub fn push(&mut self, ids: &[u32]) -> usize {
        self.append(ids, None, 0)
    }

    /// Appends a continuation of the newest sequence of its own, `prefix`, and returns its segment's index.
    ///
    /// # Panics
    /// When `ids` is empty or `prefix` is not the newest segment without a prefix.
    pub fn push_continuation(&mut self, prefix: usize, ids: &[u32]) -> usize {
        let newest = self.segments.iter().rposition(|s| s.prefix.is_none());
        assert_eq!(newest, Some(prefix), "a continuation must follow its prefix's family");
        self.append(ids, Some(prefix), self.segments[prefix].len)
    }

    fn append(&mut self, ids: &[u32], prefix: Option<usize>, first: usize) -> usize {
        assert!(!ids.is_empty(), "a segment needs at least one token");
        self.segments.push(Segment { start: self.ids.len(), len: ids.len(), prefix });
        self.positions.extend((first..first + ids.len()).map(|p| p as u32));
        self.ids.extend_from_slice(ids);
        self.segments.len() - 1
    }

    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        for (i, s) in self.segments.iter().enumerate() {
            match families.last_mut() {
                Some(family) if s.prefix == Some(family.root) => family.end = i + 1,
                _ => families.push(Family { root: i, end: i + 1 }),
            }
        }
        families
    }
}
