//! What waits for a worker: the urgent first, first come first served among equals.

use std::collections::VecDeque;

/// Who goes first: the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Nice to have.
    Deferrable,
    /// A caller may wait for it soon.
    Ahead,
    /// A caller waits for it.
    Urgent,
}

/// How many kinds of [`Urgency`] there are.
const URGENCIES: usize = 3;

/// A bounded queue of three priorities.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// By urgency.
    waiting: [VecDeque<T>; URGENCIES],
    capacity: usize,
}

impl<T> Queue<T> {
    /// An empty queue for `capacity` items of all kinds together.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            waiting: [const { VecDeque::new() }; URGENCIES],
            capacity,
        }
    }

    /// Lets `item` wait. A full queue first forgets what `is_dead`; if that makes no room, an
    /// urgent item takes the place of the oldest deferrable one. What is done ahead takes nobody's
    /// place and loses its own to none: by now a caller may wait for it. Gives back the item that
    /// found no place.
    pub(super) fn push(
        &mut self,
        urgency: Urgency,
        item: T,
        is_dead: impl Fn(&T) -> bool,
    ) -> Option<T> {
        if self.is_full() {
            for waiting in &mut self.waiting {
                waiting.retain(|waiting| !is_dead(waiting));
            }
        }
        let turned_away = if self.is_full() {
            let deferrable = &mut self.waiting[Urgency::Deferrable as usize];
            match deferrable.pop_front_if(|_| urgency == Urgency::Urgent) {
                Some(oldest) => Some(oldest),
                None => return Some(item),
            }
        } else {
            None
        };
        self.waiting[urgency as usize].push_back(item);
        turned_away
    }

    /// The next item to work on.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.waiting.iter_mut().rev().find_map(VecDeque::pop_front)
    }

    fn is_full(&self) -> bool {
        self.waiting.iter().map(VecDeque::len).sum::<usize>() >= self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Urgency::{Ahead, Deferrable, Urgent},
        *,
    };

    const ALIVE: fn(&i32) -> bool = |_| false;

    fn drained(mut queue: Queue<i32>) -> Vec<i32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn the_urgent_overtake_and_all_keep_their_order() {
        let mut queue = Queue::new(8);
        for (urgency, item) in [
            (Deferrable, 1),
            (Ahead, 2),
            (Urgent, 3),
            (Deferrable, 4),
            (Ahead, 5),
            (Urgent, 6),
        ] {
            assert_eq!(queue.push(urgency, item, ALIVE), None);
        }
        assert_eq!(drained(queue), [3, 6, 2, 5, 1, 4]);
    }

    #[test]
    fn a_full_queue_gives_the_places_of_the_deferrable_to_the_urgent() {
        let mut queue = Queue::new(4);
        for (urgency, item) in [(Deferrable, 1), (Deferrable, 2), (Ahead, 3), (Urgent, 4)] {
            assert_eq!(queue.push(urgency, item, ALIVE), None);
        }
        assert_eq!(queue.push(Deferrable, 5, ALIVE), Some(5));
        assert_eq!(queue.push(Ahead, 6, ALIVE), Some(6));
        assert_eq!(queue.push(Urgent, 7, ALIVE), Some(1));
        assert_eq!(queue.push(Urgent, 8, ALIVE), Some(2));
        assert_eq!(queue.push(Urgent, 9, ALIVE), Some(9));
        assert_eq!(drained(queue), [4, 7, 8, 3]);
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
