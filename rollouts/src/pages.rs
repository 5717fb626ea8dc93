//! Who holds which page of the key-value cache, and which recurrent state.
//!
//! The cache is cut into pages of [`PAGE`] tokens. A [`PagePool`] counts the holders of every page; a [`PageTable`] is
//! one sequence's pages in order, and the only way to hold any. Tables cannot be cloned and giving one back consumes
//! it, so a page cannot be freed twice; the samples of a prompt hold its full pages together through
//! [`PagePool::fork`], which also says what must be copied before two sequences may write past the same prefix. A table also holds one
//! recurrent state, which hybrid models keep for each sequence; it is never shared, and others have no memory behind it.

use rlvr_model::PAGE;

/// The pages of one sequence: entry `i` holds its positions `PAGE * i ..= PAGE * i + PAGE - 1`.
///
/// Belongs to the pool it came from and goes back through [`PagePool::release`].
#[derive(Debug, Default)]
#[must_use = "pages are leaked unless the table goes back through `PagePool::release`"]
pub struct PageTable {
    ids: Vec<u32>,
    /// None in an empty table that holds nothing.
    state: Option<u32>,
}

impl PageTable {
    /// Page numbers in the order of positions.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The number of the sequence's recurrent state; 0 in a table that holds nothing.
    pub fn state(&self) -> u32 {
        self.state.unwrap_or(0)
    }
}

/// A page whose contents must be copied to another before the sequence that asked may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCopy {
    /// The page to read.
    pub from: u32,
    /// The page to overwrite.
    pub to: u32,
}

/// A recurrent state whose contents must be copied to another before the sequence that asked may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCopy {
    /// The state to read.
    pub from: u32,
    /// The state to overwrite.
    pub to: u32,
}

/// What a forked sequence needs copied once the prefix is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkCopies {
    /// The page in which the prefix ends, where the sequence is going to write to it.
    pub page: Option<PageCopy>,
    /// The state after the prefix.
    pub state: StateCopy,
}

/// Reference counts and the free list of a cache's pages.
#[derive(Debug)]
pub struct PagePool {
    /// Tables that hold each page.
    holders: Vec<u32>,
    free: Vec<u32>,
    /// Recurrent states that no table holds.
    states: Vec<u32>,
    peak: usize,
}

/// Pages that hold `tokens` positions.
pub fn pages_for(tokens: usize) -> usize {
    tokens.div_ceil(PAGE)
}

impl PagePool {
    /// A pool of `pages` free pages and `states` free states.
    ///
    /// # Panics
    /// When the number of a page or a state would not fit 32 bits.
    pub fn new(pages: usize, states: usize) -> Self {
        let numbers = |count| (0..u32::try_from(count).expect("numbers are 32-bit")).rev().collect();
        Self { holders: vec![0; pages], free: numbers(pages), states: numbers(states), peak: 0 }
    }

    /// All pages, held or free.
    pub fn total(&self) -> usize {
        self.holders.len()
    }

    /// Pages that nobody holds.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// States that nobody holds.
    pub fn free_states(&self) -> usize {
        self.states.len()
    }

    /// Pages that some table holds; a shared page counts once.
    pub fn in_use(&self) -> usize {
        self.total() - self.free()
    }

    /// Most pages in use at one time since the pool was made or [`PagePool::reset_peak`] called.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// Starts [`PagePool::peak`] anew from the pages in use now.
    pub fn reset_peak(&mut self) {
        self.peak = self.in_use();
    }

    /// How many tables hold `page`; 0 when it is free or no page of this pool.
    pub fn holders(&self, page: u32) -> u32 {
        self.holders.get(page as usize).copied().unwrap_or(0)
    }

    /// Appends `pages` free pages to `table`; `false`, with nothing changed, when there are not that many.
    #[must_use]
    pub fn grow(&mut self, table: &mut PageTable, pages: usize) -> bool {
        let Some(rest) = self.free.len().checked_sub(pages) else { return false };
        for page in self.free.drain(rest..).rev() {
            self.holders[page as usize] = 1;
            table.ids.push(page);
        }
        self.peak = self.peak.max(self.in_use());
        true
    }

    /// A table of `pages` free pages and a free state; `None`, with nothing changed, when there are not that many.
    pub fn allocate(&mut self, pages: usize) -> Option<PageTable> {
        let mut table = PageTable { ids: Vec::new(), state: Some(self.states.last().copied()?) };
        if !self.grow(&mut table, pages) {
            return None;
        }
        self.states.pop();
        Some(table)
    }

    /// A table for a sequence of at most `tokens` positions that continues the first `prefix` positions of `from`.
    ///
    /// It shares the pages that the prefix fills, and pages that nothing will be written to. Where the prefix ends
    /// within a page that the sequence is going to write, it gets a page of its own there; that and the state have to be copied once
    /// the prefix is computed. `None`, with nothing changed, when pages do not suffice.
    ///
    /// # Panics
    /// When `from` holds fewer than `prefix` positions.
    pub fn fork(
        &mut self,
        from: &PageTable,
        prefix: usize,
        tokens: usize,
    ) -> Option<(PageTable, ForkCopies)> {
        let shared = shared_pages(prefix, tokens);
        let mut table = self.allocate(pages_for(tokens.max(prefix)) - shared)?;
        table.ids.splice(0..0, from.ids[..shared].iter().copied());
        for page in &from.ids[..shared] {
            self.holders[*page as usize] += 1;
        }
        let page =
            (shared < pages_for(prefix)).then(|| PageCopy { from: from.ids[shared], to: table.ids[shared] });
        let state = StateCopy { from: from.state(), to: table.state() };
        Some((table, ForkCopies { page, state }))
    }

    /// Gives the table's hold on its pages and its state back; those that nobody else holds are free again.
    pub fn release(&mut self, table: PageTable) {
        self.states.extend(table.state);
        // In reverse, so that the next table gets the warmest pages in the order they were in.
        for page in table.ids.into_iter().rev() {
            let holders = &mut self.holders[page as usize];
            *holders -= 1;
            if *holders == 0 {
                self.free.push(page);
            }
        }
    }
}

/// Pages of a prefix of `prefix` positions that a sequence of at most `tokens` positions shares with others.
pub(crate) fn shared_pages(prefix: usize, tokens: usize) -> usize {
    if tokens > prefix { prefix / PAGE } else { pages_for(prefix) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_exactly() {
        let mut pool = PagePool::new(5, 4);
        let a = pool.allocate(2).unwrap();
        let mut b = pool.allocate(1).unwrap();
        assert_eq!((pool.total(), pool.free(), pool.in_use(), pool.peak()), (5, 2, 3, 3));
        assert!(pool.grow(&mut b, 2));
        assert_eq!((pool.free(), pool.in_use(), b.ids().len()), (0, 5, 3));
        assert_eq!(pool.free_states(), 2);
        pool.release(a);
        assert_eq!((pool.free(), pool.in_use(), pool.peak()), (2, 3, 5));
        pool.reset_peak();
        assert_eq!(pool.peak(), 3);
        pool.release(b);
        assert_eq!((pool.free(), pool.in_use()), (5, 0));
    }

    #[test]
    fn a_request_that_does_not_fit_changes_nothing() {
        let mut pool = PagePool::new(3, 4);
        let mut a = pool.allocate(2).unwrap();
        assert!(pool.allocate(2).is_none());
        assert!(!pool.grow(&mut a, 2));
        assert!(pool.fork(&a, 2 * PAGE, 4 * PAGE).is_none());
        let states: Vec<PageTable> = (0..3).map(|_| pool.allocate(0).unwrap()).collect();
        assert!(pool.allocate(1).is_none() && pool.fork(&a, PAGE, PAGE).is_none(), "no state is free");
        states.into_iter().for_each(|table| pool.release(table));
        assert_eq!((pool.in_use(), a.ids().len(), pool.holders(a.ids()[0])), (2, 2, 1));
        pool.release(a);
    }

    #[test]
    fn a_fork_shares_full_pages_and_owns_the_one_it_writes() {
        let mut pool = PagePool::new(10, 4);
        let prefix = 2 * PAGE + 3;
        let prompt = pool.allocate(pages_for(prefix)).unwrap();
        let (fork, copies) = pool.fork(&prompt, prefix, prefix + PAGE).unwrap();
        assert_eq!(fork.ids()[..2], prompt.ids()[..2]);
        assert_eq!(copies.page, Some(PageCopy { from: prompt.ids()[2], to: fork.ids()[2] }));
        assert_eq!(copies.state, StateCopy { from: prompt.state(), to: fork.state() });
        assert_ne!(fork.state(), prompt.state());
        assert_eq!(pool.in_use(), 3 + 2);
        assert_eq!(pool.holders(prompt.ids()[0]), 2);
        assert_eq!(pool.holders(prompt.ids()[2]), 1);
        let shared = prompt.ids()[0];
        pool.release(prompt);
        assert_eq!((pool.in_use(), pool.holders(shared)), (4, 1), "the fork keeps what it shares");
        pool.release(fork);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_prefix_of_whole_pages_needs_no_copy() {
        let mut pool = PagePool::new(4, 4);
        let prompt = pool.allocate(2).unwrap();
        let (fork, copies) = pool.fork(&prompt, 2 * PAGE, 2 * PAGE + 1).unwrap();
        assert_eq!((copies.page, pool.in_use()), (None, 3));
        pool.release(fork);
        pool.release(prompt);
    }

    #[test]
    fn a_fork_that_writes_nothing_shares_the_partial_page_too() {
        let mut pool = PagePool::new(2, 4);
        let prompt = pool.allocate(2).unwrap();
        let (fork, copies) = pool.fork(&prompt, PAGE + 1, PAGE + 1).unwrap();
        assert_eq!((fork.ids(), copies.page, pool.in_use()), (prompt.ids(), None, 2));
        pool.release(prompt);
        assert_eq!(pool.in_use(), 2);
        pool.release(fork);
        assert_eq!(pool.in_use(), 0);
    }
}
