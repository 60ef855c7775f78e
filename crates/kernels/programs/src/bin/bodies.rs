//! Eight bodies that attract each other, for 60,000 steps: floating-point numbers.

use measured_programs::numbers;

#[derive(Clone, Copy)]
struct Body {
    place: [f64; 3],
    speed: [f64; 3],
    mass: f64,
}

fn step(bodies: &mut [Body; 8], time: f64) {
    for first in 0..bodies.len() {
        for second in first + 1..bodies.len() {
            let (one, other) = (bodies[first], bodies[second]);
            let mut apart = [0.0; 3];
            for axis in 0..3 {
                apart[axis] = one.place[axis] - other.place[axis];
            }
            let square = apart.iter().map(|axis| axis * axis).sum::<f64>() + 0.01;
            let pull = time / (square * square.sqrt());
            for axis in 0..3 {
                bodies[first].speed[axis] -= apart[axis] * other.mass * pull;
                bodies[second].speed[axis] += apart[axis] * one.mass * pull;
            }
        }
    }
    for body in bodies {
        for axis in 0..3 {
            body.place[axis] += body.speed[axis] * time;
        }
    }
}

fn main() {
    let mut numbers = numbers().map(|number| (number >> 11) as f64 / (1u64 << 53) as f64);
    let mut next = || numbers.next().unwrap_or_default() * 2.0 - 1.0;
    let mut bodies = [(); 8].map(|()| Body {
        place: [next(), next(), next()],
        speed: [next(), next(), next()],
        mass: 1.5 + next(),
    });
    for _ in 0..60_000 {
        step(&mut bodies, 0.001);
    }
    println!("{:.12?}", bodies[0].place);
}
