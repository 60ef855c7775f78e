//! Greets whoever is named in the input, and counts the visits in the storage of the account that
//! asks.

use std::error::Error;

use outlayer_sdk::{context, input, output, storage};

fn main() -> Result<(), Box<dyn Error>> {
    let name = input::text()?;
    output::write(greet(name.trim())?);
    Ok(())
}

/// The greeting for this visit.
fn greet(name: &str) -> Result<String, Box<dyn Error>> {
    if name.is_empty() {
        return Err("expected a name as the input, found nothing".into());
    }
    let visits = storage::read(b"visits").map(String::from_utf8).transpose()?;
    let visits: u64 = visits.as_deref().unwrap_or("0").parse()?;
    let visits = visits.checked_add(1).ok_or("there were too many visits")?;
    storage::write(b"visits", visits.to_string().as_bytes());
    let caller = context::current().predecessor_id;
    output::log(format!("{caller} asked for {name}"));
    Ok(format!("Hello {name}, this is visit {visits}.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_visit_counts() {
        assert_eq!(greet("Ada").unwrap(), "Hello Ada, this is visit 1.\n");
        assert_eq!(greet("Alan").unwrap(), "Hello Alan, this is visit 2.\n");
    }

    #[test]
    fn a_visitor_has_a_name() {
        assert!(greet("").is_err());
        assert_eq!(storage::read(b"visits"), None);
    }
}
