use std::collections::HashMap;

#[derive(Debug, Clone)]
struct Gauge {
    name: String,
    value: f64,
}

impl Gauge {
    fn is_high(&self, limit: f64) -> bool {
        self.value > limit
    }
}

fn main() {
    let mut limits: HashMap<&str, f64> = HashMap::new();
    limits.insert("inlet", 6.0);
    let gauge = Gauge { name: "inlet".to_string(), value: 4.2 };
    match limits.get(gauge.name.as_str()) {
        Some(&limit) if gauge.is_high(limit) => println!("{:?} is high", gauge),
        _ => println!("{:?} is fine", gauge),
    }
}
