//! What waits for a worker: finals before eager transcripts, those before partials, first come
//! first served among each.

use std::collections::VecDeque;

use sidetone_core::job::SttPurpose;

/// A bounded queue of three priorities.
#[derive(Debug)]
pub(super) struct Queue<T> {
    finals: VecDeque<T>,
    eager: VecDeque<T>,
    partials: VecDeque<T>,
    capacity: usize,
}

impl<T> Queue<T> {
    /// An empty queue for `capacity` items of all kinds together.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            finals: VecDeque::new(),
            eager: VecDeque::new(),
            partials: VecDeque::new(),
            capacity,
        }
    }

    /// Lets `item` wait. A full queue first forgets what `is_dead`; if that makes no room, a
    /// final takes the place of the oldest partial. An eager transcript takes nobody's place and
    /// loses its own to none: its turn may have ended by now. Gives back the item that found no
    /// place.
    pub(super) fn push(
        &mut self,
        purpose: SttPurpose,
        item: T,
        is_dead: impl Fn(&T) -> bool,
    ) -> Option<T> {
        if self.is_full() {
            for items in [&mut self.finals, &mut self.eager, &mut self.partials] {
                items.retain(|waiting| !is_dead(waiting));
            }
        }
        let full = self.is_full();
        let items = match purpose {
            SttPurpose::Partial | SttPurpose::Eager if full => return Some(item),
            SttPurpose::Final if full && self.partials.is_empty() => return Some(item),
            SttPurpose::Partial => &mut self.partials,
            SttPurpose::Eager => &mut self.eager,
            SttPurpose::Final => &mut self.finals,
        };
        items.push_back(item);
        if full {
            self.partials.pop_front()
        } else {
            None
        }
    }

    /// The next item to work on.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.finals
            .pop_front()
            .or_else(|| self.eager.pop_front())
            .or_else(|| self.partials.pop_front())
    }

    fn is_full(&self) -> bool {
        self.finals.len() + self.eager.len() + self.partials.len() >= self.capacity
    }
}

#[cfg(test)]
mod tests {
    use sidetone_core::job::SttPurpose::{Eager, Final, Partial};

    use super::*;

    const ALIVE: fn(&i32) -> bool = |_| false;

    fn drained(mut queue: Queue<i32>) -> Vec<i32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn finals_overtake_the_others_and_keep_their_order() {
        let mut queue = Queue::new(8);
        let items = [
            (Partial, 1),
            (Final, 2),
            (Eager, 5),
            (Partial, 3),
            (Final, 4),
        ];
        for (purpose, item) in items {
            assert_eq!(queue.push(purpose, item, ALIVE), None);
        }
        assert_eq!(drained(queue), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn a_full_queue_refuses_partials_and_gives_their_places_to_finals() {
        let mut queue = Queue::new(3);
        for (purpose, item) in [(Partial, 1), (Partial, 2), (Final, 3)] {
            assert_eq!(queue.push(purpose, item, ALIVE), None);
        }
        assert_eq!(queue.push(Partial, 4, ALIVE), Some(4));
        assert_eq!(queue.push(Eager, 4, ALIVE), Some(4));
        assert_eq!(queue.push(Final, 5, ALIVE), Some(1));
        assert_eq!(queue.push(Final, 6, ALIVE), Some(2));
        assert_eq!(queue.push(Final, 7, ALIVE), Some(7));
        assert_eq!(drained(queue), [3, 5, 6]);
    }

    #[test]
    fn the_dead_make_room_before_anybody_is_turned_away() {
        let mut queue = Queue::new(2);
        queue.push(Partial, 1, ALIVE);
        queue.push(Final, 2, ALIVE);
        assert_eq!(queue.push(Partial, 3, |item| *item == 2), None);
        assert_eq!(queue.push(Final, 4, |item| *item == 1), None);
        assert_eq!(drained(queue), [4, 3]);
    }
}
