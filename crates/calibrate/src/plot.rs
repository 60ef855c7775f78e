//! Draws gas for each unit of fuel, with one bar for each kernel.

use std::error::Error;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{CalibrationError, Measurement, ratios};

const WIDTH: i32 = 900;
const ROW: i32 = 22;
const TOP: i32 = 70;
const BOTTOM: i32 = 50;
const LEFT: i32 = 170;
const RIGHT: i32 = 70;
/// NEAR's price of an operator under the pinned configuration, in gas.
const OPERATOR_GAS: u64 = 822_756;
/// NEAR's price of an operator in protocol version 48, in gas: `wasm_regular_op_cost` of nearcore
/// 1.22. It still stands in documents about gas, as a constant to convert by.
const FORMER_OPERATOR_GAS: u64 = 2_207_874;

/// The plot, as SVG. Kernels are sorted by their ratio.
pub(crate) fn gas_per_fuel(measurements: &[Measurement]) -> Result<String, CalibrationError> {
    let mut bars: Vec<(&str, f64)> = measurements
        .iter()
        .map(|found| (found.kernel.as_str(), ratios::gas_per_fuel(found)))
        .collect();
    bars.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut svg = String::new();
    draw(&mut svg, &bars).map_err(|error| CalibrationError::report("plot", error))?;
    Ok(svg)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn draw(svg: &mut String, bars: &[(&str, f64)]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let rows = i32::try_from(bars.len())?;
    let bottom = TOP + rows * ROW;
    let size = (u32::try_from(WIDTH)?, u32::try_from(bottom + BOTTOM)?);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;

    let most = bars.iter().map(|bar| bar.1).fold(FORMER_OPERATOR_GAS as f64, f64::max);
    let x = |gas: f64| LEFT + (gas / most * f64::from(WIDTH - LEFT - RIGHT)).round() as i32;
    let font = |size: i32| ("sans-serif", size).into_font();
    let style = |horizontal, color: &RGBColor| {
        font(13).color(color).pos(Pos::new(horizontal, VPos::Center))
    };

    area.draw(&Text::new(
        "Gas for each unit of fuel, by kernel (Mgas; loading left out)",
        (LEFT, 18),
        font(18).color(&BLACK),
    ))?;
    let bar_color = RGBColor(70, 120, 180);
    for (row, (kernel, gas)) in (0i32..).zip(bars) {
        let middle = TOP + row * ROW + ROW / 2;
        area.draw(&Text::new(*kernel, (LEFT - 8, middle), style(HPos::Right, &BLACK)))?;
        area.draw(&Rectangle::new(
            [(LEFT, middle - ROW / 3), (x(*gas), middle + ROW / 3)],
            bar_color.filled(),
        ))?;
        let label = format!("{:.3}", gas / 1e6);
        area.draw(&Text::new(label, (x(*gas) + 6, middle), style(HPos::Left, &BLACK)))?;
    }
    area.draw(&PathElement::new([(LEFT, TOP), (LEFT, bottom)], BLACK))?;
    for (gas, what, color) in [
        (OPERATOR_GAS, "NEAR's operator: 0.823", RGBColor(30, 130, 60)),
        (
            FORMER_OPERATOR_GAS,
            "NEAR's operator in protocol version 48: 2.208",
            RGBColor(190, 40, 40),
        ),
    ] {
        let at = x(gas as f64);
        area.draw(&PathElement::new([(at, TOP - 8), (at, bottom + 8)], color.stroke_width(2)))?;
        area.draw(&Text::new(what, (at, bottom + 22), style(HPos::Center, &color)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use outlayer_executor::NEAR_CONFIG_VERSION;
    use outlayer_kernels::node::Node;

    use super::*;

    #[test]
    fn an_operator_has_the_price_of_the_pinned_configuration() {
        assert_eq!(Node::new(NEAR_CONFIG_VERSION).unwrap().operator_gas(), OPERATOR_GAS);
    }

    #[test]
    fn every_kernel_has_its_bar() {
        let measurement = |kernel: &str, fuel| Measurement {
            kernel: kernel.to_owned(),
            bytes: 1,
            operators: 1,
            gas_on_a_node: 8_000_000,
            gas_here: 8_000_000,
            loading_gas: 0,
            fuel,
            nanos_on_a_node: 1,
            nanos_by_gas: 1,
            nanos_by_fuel: 1,
        };
        let svg = gas_per_fuel(&[measurement("one", 8), measurement("other", 4)]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for text in ["one", "other", "1.000", "2.000"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
        }
        // The background and the bars.
        assert_eq!(svg.matches("<rect").count(), 3);
    }
}
