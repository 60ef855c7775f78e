//! `wasi:random`: the one random stream, by three names.

use outlayer_guest::{HostCall, Stop, Work, verdict::reason::TOO_MANY_RANDOM_BYTES};
use wasmtime::Result;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::state::State;

impl random::Host for State {
    fn get_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        self.enter()?;
        Ok(self.draw(length)?)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.enter()?;
        Ok(self.draw_word()?)
    }
}

impl insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        self.enter()?;
        Ok(self.draw(length)?)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.enter()?;
        Ok(self.draw_word()?)
    }
}

impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        self.enter()?;
        let low = self.draw_word()?;
        Ok((low, self.draw_word()?))
    }
}

impl State {
    fn draw(&mut self, length: u64) -> Result<Vec<u8>, Stop> {
        self.charge(Work::Random(length))?;
        // The bytes have to fit into the guest's memory.
        self.host.bounds.admit(length)?;
        let length = usize::try_from(length).map_err(|_| Stop::Trap(TOO_MANY_RANDOM_BYTES))?;
        let mut bytes = vec![0; length];
        self.host.random.fill(&mut bytes);
        Ok(bytes)
    }

    fn draw_word(&mut self) -> Result<u64, Stop> {
        let mut bytes = [0; 8];
        self.charge(Work::Random(8))?;
        self.host.random.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
}
