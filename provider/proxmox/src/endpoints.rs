//! The addresses of one cluster, and which of them are worth trying.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

/// How long an endpoint that could not be reached is not asked, as long as there are others.
const REST: Duration = Duration::from_secs(30);

/// Several nodes of one cluster, any of which answers for all.
pub(crate) struct Endpoints {
    pub(crate) urls: Vec<Url>,
    state: Mutex<State>,
}

struct State {
    /// The one that answered last.
    current: usize,
    /// Until when each of them rests.
    resting: Vec<Option<Instant>>,
}

impl Endpoints {
    pub(crate) fn new(urls: Vec<Url>) -> Self {
        let resting = vec![None; urls.len()];
        Self { urls, state: Mutex::new(State { current: 0, resting }) }
    }

    /// In which order to try them: the one that answered last, then the others, and those that rest only at the end.
    pub(crate) fn order(&self) -> Vec<usize> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, now) = (self.urls.len(), Instant::now());
        let mut order: Vec<_> = (0..count).map(|at| (state.current + at) % count).collect();
        order.sort_by_key(|index| state.resting[*index].is_some_and(|until| now < until));
        order
    }

    /// This one could not be reached, or did not answer.
    pub(crate) fn rest(&self, index: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.resting[index] = Some(Instant::now() + REST);
    }

    /// This one answered.
    pub(crate) fn worked(&self, index: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.current = index;
        state.resting[index] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_failed_comes_last_for_a_while() {
        let urls = ["https://a:8006", "https://b:8006", "https://c:8006"];
        let endpoints = Endpoints::new(urls.map(|url| url.parse().unwrap()).to_vec());
        assert_eq!(endpoints.order(), [0, 1, 2]);
        endpoints.rest(0);
        assert_eq!(endpoints.order(), [1, 2, 0]);
        endpoints.worked(1);
        endpoints.rest(2);
        assert_eq!(endpoints.order(), [1, 2, 0]);
        tokio::time::sleep(REST).await;
        assert_eq!(endpoints.order(), [1, 2, 0]);
        endpoints.rest(1);
        assert_eq!(endpoints.order(), [2, 0, 1]);
    }
}
