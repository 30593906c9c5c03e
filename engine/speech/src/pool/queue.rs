//! What waits for a worker: the urgent first, first come first served among equals.

use std::collections::VecDeque;

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A caller waits for it.
    Urgent,
    /// Nice to have.
    Deferrable,
}

/// A bounded queue of two priorities.
#[derive(Debug)]
pub(super) struct Queue<T> {
    urgent: VecDeque<T>,
    deferrable: VecDeque<T>,
    capacity: usize,
}

impl<T> Queue<T> {
    /// An empty queue for `capacity` items of both kinds together.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            urgent: VecDeque::new(),
            deferrable: VecDeque::new(),
            capacity,
        }
    }

    /// Lets `item` wait. A full queue first forgets what `is_dead`; if that makes no room, an
    /// urgent item takes the place of the oldest deferrable one. Gives back the item that found no place.
    pub(super) fn push(
        &mut self,
        urgency: Urgency,
        item: T,
        is_dead: impl Fn(&T) -> bool,
    ) -> Option<T> {
        if self.is_full() {
            self.urgent.retain(|waiting| !is_dead(waiting));
            self.deferrable.retain(|waiting| !is_dead(waiting));
        }
        let full = self.is_full();
        match urgency {
            Urgency::Deferrable if full => Some(item),
            Urgency::Deferrable => {
                self.deferrable.push_back(item);
                None
            }
            Urgency::Urgent if full && self.deferrable.is_empty() => Some(item),
            Urgency::Urgent => {
                self.urgent.push_back(item);
                if full {
                    self.deferrable.pop_front()
                } else {
                    None
                }
            }
        }
    }

    /// The next item to work on.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.urgent
            .pop_front()
            .or_else(|| self.deferrable.pop_front())
    }

    fn is_full(&self) -> bool {
        self.urgent.len() + self.deferrable.len() >= self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Urgency::{Deferrable, Urgent},
        *,
    };

    const ALIVE: fn(&i32) -> bool = |_| false;

    fn drained(mut queue: Queue<i32>) -> Vec<i32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn the_urgent_overtake_and_all_keep_their_order() {
        let mut queue = Queue::new(8);
        for (urgency, item) in [(Deferrable, 1), (Urgent, 2), (Deferrable, 3), (Urgent, 4)] {
            assert_eq!(queue.push(urgency, item, ALIVE), None);
        }
        assert_eq!(drained(queue), [2, 4, 1, 3]);
    }

    #[test]
    fn a_full_queue_gives_the_places_of_the_deferrable_to_the_urgent() {
        let mut queue = Queue::new(3);
        for (urgency, item) in [(Deferrable, 1), (Deferrable, 2), (Urgent, 3)] {
            assert_eq!(queue.push(urgency, item, ALIVE), None);
        }
        assert_eq!(queue.push(Deferrable, 4, ALIVE), Some(4));
        assert_eq!(queue.push(Urgent, 5, ALIVE), Some(1));
        assert_eq!(queue.push(Urgent, 6, ALIVE), Some(2));
        assert_eq!(queue.push(Urgent, 7, ALIVE), Some(7));
        assert_eq!(drained(queue), [3, 5, 6]);
    }

    #[test]
    fn the_dead_make_room_before_anybody_is_turned_away() {
        let mut queue = Queue::new(2);
        queue.push(Deferrable, 1, ALIVE);
        queue.push(Urgent, 2, ALIVE);
        assert_eq!(queue.push(Deferrable, 3, |item| *item == 2), None);
        assert_eq!(queue.push(Urgent, 4, |item| *item == 1), None);
        assert_eq!(drained(queue), [4, 3]);
    }
}
