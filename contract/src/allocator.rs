//! The allocator of the contract's Wasm.
//!
//! A call lives for a fraction of a second, and its memory goes with it. So blocks are cut from the
//! memory one after the other, and only the last one can grow, shrink and be given back. That takes
//! few instructions and little code. What is never given back is bounded by what a call can copy:
//! `tests/gas` settles the largest answers within the memory that a node allows.

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    ptr,
};

/// The memory that blocks are cut from.
pub(crate) trait Memory {
    /// The address at which blocks may start.
    fn start(&self) -> usize;
    /// Makes the memory reach up to `end` at least, and gives the address at which it ends then.
    /// `None` when there is not as much memory.
    fn reach(&self, end: usize) -> Option<usize>;
}

/// The allocator over a memory: that of the Wasm instance, or in tests a part of the host's.
pub(crate) struct Allocator<M> {
    memory: M,
    /// Where the next block may start; 0 before the first one.
    next: Cell<usize>,
    /// Where the memory ends.
    end: Cell<usize>,
}

impl<M: Memory> Allocator<M> {
    pub(crate) const fn new(memory: M) -> Self {
        Self { memory, next: Cell::new(0), end: Cell::new(0) }
    }

    /// Makes the block that starts at `start` the last one, with `bytes` bytes.
    fn cut(&self, start: usize, bytes: usize) -> *mut u8 {
        let Some(next) = start.checked_add(bytes) else { return ptr::null_mut() };
        if next > self.end.get() {
            let Some(end) = self.memory.reach(next) else { return ptr::null_mut() };
            self.end.set(end);
        }
        self.next.set(next);
        ptr::with_exposed_provenance_mut(start)
    }

    /// Whether this block is the last one.
    fn is_last(&self, block: *mut u8, bytes: usize) -> bool {
        block.addr().wrapping_add(bytes) == self.next.get()
    }
}

// SAFETY: a block starts behind all blocks that are in use, is aligned, and lies within the memory.
// Only the last block changes its length, and keeps its start then.
// Inlined into every place that allocates, they would be a tenth of the Wasm.
unsafe impl<M: Memory> GlobalAlloc for Allocator<M> {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = match self.next.get() {
            0 => self.memory.start(),
            next => next,
        };
        // An alignment is a power of two.
        match next.checked_add(layout.align() - 1) {
            Some(last) => self.cut(last & !(layout.align() - 1), layout.size()),
            None => ptr::null_mut(),
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_last(block, layout.size()) {
            self.next.set(block.addr());
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if self.is_last(block, layout.size()) {
            return self.cut(block.addr(), bytes);
        }
        if bytes <= layout.size() {
            return block;
        }
        // SAFETY: the caller guarantees that `bytes` is a valid size for this alignment.
        let larger = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        // SAFETY: `bytes` is more than the block's size, so it is not zero.
        let new = unsafe { self.alloc(larger) };
        if !new.is_null() {
            // SAFETY: both blocks have the old block's length, and the new one is behind the old.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        }
        new
    }
}

/// The memory of a Wasm instance, behind its data and stack.
#[cfg(target_family = "wasm")]
mod wasm {
    use core::arch::wasm32::{memory_grow, memory_size};

    use super::{Allocator, Memory};

    const PAGE_BYTES: usize = 64 << 10;

    unsafe extern "C" {
        /// Where the linker says that free memory starts.
        static __heap_base: u8;
    }

    struct Wasm;

    impl Memory for Wasm {
        fn start(&self) -> usize {
            (&raw const __heap_base).expose_provenance()
        }

        fn reach(&self, end: usize) -> Option<usize> {
            let (pages, needed) = (memory_size(0), end.div_ceil(PAGE_BYTES));
            let missing = needed.saturating_sub(pages);
            if missing > 0 && memory_grow(0, missing) == usize::MAX {
                return None;
            }
            needed.max(pages).checked_mul(PAGE_BYTES)
        }
    }

    // SAFETY: a contract has one thread.
    unsafe impl Sync for Allocator<Wasm> {}

    #[global_allocator]
    static ALLOCATOR: Allocator<Wasm> = Allocator::new(Wasm);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Memory of a fixed length.
    struct Fixed(Vec<u8>);

    impl Memory for Fixed {
        fn start(&self) -> usize {
            self.0.as_ptr().expose_provenance()
        }

        fn reach(&self, end: usize) -> Option<usize> {
            let last = self.start() + self.0.len();
            (end <= last).then_some(last)
        }
    }

    fn allocator(bytes: usize) -> Allocator<Fixed> {
        Allocator::new(Fixed(vec![0; bytes]))
    }

    #[derive(Clone, Debug)]
    enum Act {
        Allocate { bytes: usize, align: u32 },
        Resize { which: prop::sample::Index, bytes: usize },
        Free { which: prop::sample::Index },
    }

    fn act() -> impl Strategy<Value = Act> {
        let which = any::<prop::sample::Index>;
        prop_oneof![
            (1usize..200, 0u32..5).prop_map(|(bytes, align)| Act::Allocate { bytes, align }),
            (which(), 1usize..300).prop_map(|(which, bytes)| Act::Resize { which, bytes }),
            which().prop_map(|which| Act::Free { which }),
        ]
    }

    proptest! {
        #[test]
        fn blocks_keep_their_bytes_and_do_not_overlap(
            acts in prop::collection::vec(act(), 0..200),
        ) {
            let allocator = allocator(1 << 20);
            // Each block is full of a byte of its own.
            let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
            for (act, fill) in acts.into_iter().zip((0..=u8::MAX).cycle()) {
                match act {
                    Act::Allocate { bytes, align } => {
                        let layout = Layout::from_size_align(bytes, 1 << align).unwrap();
                        // SAFETY: the layout is not empty, and what is written is the block's.
                        let block = unsafe { allocator.alloc(layout) };
                        prop_assert!(!block.is_null() && block.addr() % layout.align() == 0);
                        unsafe { block.write_bytes(fill, bytes) };
                        blocks.push((block, layout, fill));
                    }
                    Act::Resize { which, bytes } if !blocks.is_empty() => {
                        let (block, layout, kept) = blocks.swap_remove(which.index(blocks.len()));
                        // SAFETY: the block is in use with this layout.
                        let new = unsafe { allocator.realloc(block, layout, bytes) };
                        prop_assert!(!new.is_null() && new.addr() % layout.align() == 0);
                        for at in 0..bytes.min(layout.size()) {
                            prop_assert_eq!(unsafe { *new.add(at) }, kept);
                        }
                        unsafe { new.write_bytes(fill, bytes) };
                        let layout = Layout::from_size_align(bytes, layout.align()).unwrap();
                        blocks.push((new, layout, fill));
                    }
                    Act::Free { which } if !blocks.is_empty() => {
                        let (block, layout, _) = blocks.swap_remove(which.index(blocks.len()));
                        // SAFETY: the block is in use with this layout.
                        unsafe { allocator.dealloc(block, layout) };
                    }
                    Act::Resize { .. } | Act::Free { .. } => {}
                }
                for (block, layout, kept) in &blocks {
                    for at in 0..layout.size() {
                        prop_assert_eq!(unsafe { *block.add(at) }, *kept);
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_block_grows_shrinks_and_is_given_back_in_its_place() {
        let allocator = allocator(100);
        let layout = |bytes| Layout::from_size_align(bytes, 1).unwrap();
        // SAFETY: every block is in use with the layout that is given.
        unsafe {
            let first = allocator.alloc(layout(10));
            assert_eq!(allocator.realloc(first, layout(10), 100), first);
            assert_eq!(allocator.realloc(first, layout(100), 5), first);
            let second = allocator.alloc(layout(95));
            assert_eq!(second, first.add(5));
            allocator.dealloc(second, layout(95));
            assert_eq!(allocator.alloc(layout(95)), second);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let allocator = allocator(100);
        let layout = |bytes| Layout::from_size_align(bytes, 1).unwrap();
        // SAFETY: every block is in use with the layout that is given.
        unsafe {
            let first = allocator.alloc(layout(10));
            let second = allocator.alloc(layout(10));
            assert!(allocator.alloc(layout(81)).is_null());
            assert!(allocator.alloc(layout(isize::MAX as usize)).is_null());
            assert!(allocator.realloc(first, layout(10), 81).is_null());
            assert!(allocator.realloc(second, layout(10), 91).is_null());
            assert_eq!(allocator.alloc(layout(80)), first.add(20));
        }
    }
}
