package org.example.gauge;

import java.util.ArrayList;
import java.util.List;

public class Readings {
    private final List<Double> values = new ArrayList<>();

    public void add(double value) {
        if (Double.isNaN(value)) {
            throw new IllegalArgumentException("not a number");
        }
        values.add(value);
    }

    public double mean() {
        return values.stream().mapToDouble(Double::doubleValue).average().orElse(0.0);
    }

    public static void main(String[] args) {
        Readings readings = new Readings();
        readings.add(4.2);
        System.out.println(readings.mean());
    }
}
