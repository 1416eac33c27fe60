"""At least thirty real files in as many formats, made on the spot, the same bytes every time."""

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import struct
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

PYTHON: Final = '''"""Moving averages over a stream of readings."""

from collections import deque


class MovingAverage:
    def __init__(self, size: int) -> None:
        self._window: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> float:
        self._window.append(value)
        return sum(self._window) / len(self._window)


if __name__ == "__main__":
    average = MovingAverage(3)
    for reading in (20.5, 21.0, 23.5, 22.0):
        print(f"{reading:.1f} -> {average.add(reading):.2f}")
'''

C: Final = """#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint16_t crc16(const uint8_t *data, size_t length)
{
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) ? (crc >> 1) ^ 0xa001 : crc >> 1;
    }
    return crc;
}

int main(void)
{
    const char *frame = "\\x01\\x03\\x00\\x00\\x00\\x02";
    printf("%04x\\n", crc16((const uint8_t *)frame, 6));
    return 0;
}
"""

JAVASCRIPT: Final = """'use strict';

const gauges = new Map();

export function update(name, value) {
  const previous = gauges.get(name) ?? { value: 0, at: 0 };
  gauges.set(name, { value, at: Date.now(), delta: value - previous.value });
  document.querySelector(`#gauge-${name}`).textContent = value.toFixed(1);
}

window.addEventListener('load', async () => {
  const response = await fetch('/gauges.json');
  for (const { name, value } of await response.json()) update(name, value);
});
"""

HTML: Final = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Pump room</title>
  <link rel="stylesheet" href="style.css">
</head>
<body>
  <h1>Pump room</h1>
  <table>
    <tr><th>Gauge</th><th>Reading</th></tr>
    <tr><td>Inlet</td><td id="gauge-inlet">4.2 bar</td></tr>
    <tr><td>Outlet</td><td id="gauge-outlet">3.9 bar</td></tr>
  </table>
  <script src="gauges.js" type="module"></script>
</body>
</html>
"""

CSS: Final = """:root { --accent: #0a6; --line: #ccc; }

body {
  font: 16px/1.5 sans-serif;
  margin: 2rem auto;
  max-width: 60ch;
}

table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: 0.4rem; text-align: left; }
td[id^="gauge-"] { color: var(--accent); font-variant-numeric: tabular-nums; }

@media (prefers-color-scheme: dark) {
  body { background: #111; color: #eee; }
}
"""

JSON: Final = """{
  "site": "north",
  "gauges": [
    {"name": "inlet", "unit": "bar", "value": 4.2, "ok": true},
    {"name": "outlet", "unit": "bar", "value": 3.9, "ok": true},
    {"name": "oil", "unit": "degC", "value": 81.5, "ok": false}
  ],
  "taken_at": "2026-03-01T08:15:00Z"
}
"""

YAML: Final = """---
services:
  gateway:
    image: registry.example.org/gateway:2.4
    restart: unless-stopped
    environment:
      LOG_LEVEL: info
    volumes:
      - data:/var/lib/gateway
  broker:
    image: registry.example.org/broker:1.9
    ports:
      - "1883:1883"
volumes:
  data: {}
"""

TOML: Final = """[package]
name = "gauge-reader"
version = "0.3.1"
edition = "2021"

[dependencies]
serde = { version = "1.0", features = ["derive"] }
tokio = { version = "1", features = ["rt", "net"] }

[profile.release]
lto = true
opt-level = "s"
"""

INI: Final = """; network settings of the gateway
[network]
address = 192.0.2.17
netmask = 255.255.255.0
gateway = 192.0.2.1

[logging]
level = warning
file = /var/log/gateway.log
rotate = yes
"""

MARKDOWN: Final = """# Gauge reader

Reads analog gauges with a camera.

## Install

1. Mount the camera opposite the dial.
2. Run `gauge-reader calibrate`.
3. Check the reading:

```sh
gauge-reader read --once
```

| Part | Range |
| --- | --- |
| Inlet | 0 to 10 bar |
| Oil | -20 to 120 degC |

See [the manual](https://docs.example.org/gauge-reader) for **mounting** and *lighting*.
"""

CSV: Final = "time,gauge,value,unit\n" + "".join(
    f"2026-03-01T08:{minute:02d}:00Z,{'inlet' if minute % 2 else 'outlet'},{4 + minute / 50:.2f},bar\n"
    for minute in range(40)
)

XML: Final = """<?xml version="1.0" encoding="UTF-8"?>
<plant name="north">
  <pump id="p1" state="running">
    <reading gauge="inlet" unit="bar">4.2</reading>
    <reading gauge="outlet" unit="bar">3.9</reading>
  </pump>
  <pump id="p2" state="stopped"/>
</plant>
"""

SVG: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100" height="100">
  <circle cx="50" cy="50" r="46" fill="none" stroke="#333" stroke-width="4"/>
  <path d="M50 50 L82 30" stroke="#c00" stroke-width="3" stroke-linecap="round"/>
  <text x="50" y="80" text-anchor="middle" font-size="10">bar</text>
</svg>
"""

SHELL: Final = """#!/bin/bash
set -euo pipefail

backup_dir=/var/backups/gateway
mkdir -p "$backup_dir"

for file in /etc/gateway/*.conf; do
    [ -e "$file" ] || continue
    cp --preserve "$file" "$backup_dir/$(basename "$file").$(date +%F)"
done

find "$backup_dir" -type f -mtime +30 -delete
echo "kept $(ls "$backup_dir" | wc -l) files"
"""

SQL: Final = """CREATE TABLE readings (
    id BIGSERIAL PRIMARY KEY,
    gauge VARCHAR(40) NOT NULL,
    value NUMERIC(8, 2) NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now()
);

INSERT INTO readings (gauge, value) VALUES ('inlet', 4.2), ('outlet', 3.9);

SELECT gauge, AVG(value) AS mean, COUNT(*) AS n
FROM readings
WHERE taken_at > now() - INTERVAL '1 day'
GROUP BY gauge
HAVING COUNT(*) > 10
ORDER BY mean DESC;
"""

GO: Final = """package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
)

type Reading struct {
	Gauge string  `json:"gauge"`
	Value float64 `json:"value"`
}

func main() {
	http.HandleFunc("/readings", func(w http.ResponseWriter, r *http.Request) {
		readings := []Reading{{"inlet", 4.2}, {"outlet", 3.9}}
		if err := json.NewEncoder(w).Encode(readings); err != nil {
			fmt.Println("encode:", err)
		}
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
"""

RUST: Final = """use std::collections::HashMap;

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
"""

JAVA: Final = """package org.example.gauge;

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
"""

PHP: Final = """<?php
declare(strict_types=1);

namespace Gauge;

final class Reading
{
    public function __construct(private string $name, private float $value) {}

    public function __toString(): string
    {
        return sprintf('%s: %.1f', $this->name, $this->value);
    }
}

foreach (['inlet' => 4.2, 'outlet' => 3.9] as $name => $value) {
    echo new Reading($name, $value), PHP_EOL;
}
"""

RUBY: Final = """require 'json'

module Gauge
  class Reader
    attr_reader :values

    def initialize(path)
      @values = JSON.parse(File.read(path)).map { |row| row['value'] }
    end

    def mean
      return 0 if values.empty?
      values.sum.to_f / values.length
    end
  end
end

puts Gauge::Reader.new(ARGV.first).mean if __FILE__ == $PROGRAM_NAME
"""

PERL: Final = """#!/usr/bin/perl
use strict;
use warnings;

my %sum;
my %count;
while (my $line = <STDIN>) {
    chomp $line;
    next unless $line =~ /^(\\w+)\\s+(-?\\d+(?:\\.\\d+)?)$/;
    $sum{$1} += $2;
    $count{$1}++;
}
for my $gauge (sort keys %sum) {
    printf "%-10s %.2f\\n", $gauge, $sum{$gauge} / $count{$gauge};
}
"""

DOCKERFILE: Final = """FROM debian:trixie-slim
RUN apt-get update \\
    && apt-get install -y --no-install-recommends python3 ca-certificates \\
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/gateway
COPY gateway/ ./gateway/
USER nobody
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "gateway"]
"""

MAKEFILE: Final = """CC ?= cc
CFLAGS += -O2 -Wall -Wextra
OBJECTS := main.o crc.o frame.o

gauge: $(OBJECTS)
\t$(CC) $(LDFLAGS) -o $@ $^

%.o: %.c frame.h
\t$(CC) $(CFLAGS) -c -o $@ $<

.PHONY: clean
clean:
\trm -f gauge $(OBJECTS)
"""

DIFF: Final = """diff --git a/gauge.c b/gauge.c
index 83db48f..bf2a1c4 100644
--- a/gauge.c
+++ b/gauge.c
@@ -12,7 +12,9 @@ static int read_gauge(int fd)
     char buffer[64];
     ssize_t n = read(fd, buffer, sizeof buffer);
-    if (n < 0)
+    if (n < 0) {
+        perror("read");
         return -1;
+    }
     buffer[n] = 0;
     return atoi(buffer);
 }
"""

LATEX: Final = r"""\documentclass[a4paper]{article}
\usepackage{amsmath}
\title{Reading gauges at an angle}
\begin{document}
\maketitle
\section{Model}
A dial seen at an angle $\theta$ is an ellipse. With the needle at $\alpha$ we have
\begin{equation}
  \tan \alpha' = \frac{\tan \alpha}{\cos \theta}.
\end{equation}
\end{document}
"""

RTF: Final = (
    r"{\rtf1\ansi\deff0{\fonttbl{\f0 Helvetica;}}\f0\fs24 Pump room log\par "
    r"\b Inlet\b0  4.2 bar\par Outlet 3.9 bar\par}" + "\n"
)

ICALENDAR: Final = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//example.org//pumps//EN\r
BEGIN:VEVENT\r
UID:20260301-inspection@example.org\r
DTSTAMP:20260301T080000Z\r
DTSTART:20260315T090000Z\r
DTEND:20260315T100000Z\r
SUMMARY:Inspect pump 2\r
END:VEVENT\r
END:VCALENDAR\r
"""

SRT: Final = """1
00:00:01,000 --> 00:00:03,500
This is the inlet gauge.

2
00:00:04,000 --> 00:00:06,200
The needle stands at four bar.

3
00:00:07,000 --> 00:00:09,000
Close the valve slowly.
"""


def _png() -> bytes:
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(64) for _ in range(3)) for y in range(64))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _bmp() -> bytes:
    pixels = b"".join(bytes((x * 4, y * 4, 128)) for y in range(48) for x in range(48))
    header = struct.pack("<IiiHHIIiiII", 40, 48, 48, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def _wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", (n * 400) % 20000 - 10000) for n in range(4000)))
    return buffer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in (("readme.md", MARKDOWN), ("gauges.json", JSON)):
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, text in (("gauge/main.c", C), ("gauge/Makefile", MAKEFILE)):
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            file.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _sqlite() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "readings.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE readings (gauge TEXT, value REAL)")
        connection.executemany("INSERT INTO readings VALUES (?, ?)", [("inlet", n / 10) for n in range(200)])
        connection.commit()
        connection.close()
        return path.read_bytes()


def _pdf() -> bytes:
    stream = b"BT /F1 18 Tf 72 720 Td (Pump room log) Tj ET"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>"
        % font,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    )
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + trailer


def _gif() -> bytes:
    palette = bytes((level, level, level)[i] for level in range(0, 256, 2) for i in range(3))
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 16, 16, 0xF6, 0, 0)
        + palette
        + b",\0\0\0\0\x10\0\x10\0\0\x07\x02\x80\0\x81\0;"
    )


def _wasm() -> bytes:
    # One exported function that adds two 32-bit integers.
    return bytes.fromhex(
        "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b000a046e616d650203010000"
    )


_MAKERS: Final[dict[str, Callable[[], bytes]]] = {
    "log.pdf": _pdf,
    "dial.png": _png,
    "dial.bmp": _bmp,
    "dial.gif": _gif,
    "tone.wav": _wav,
    "docs.zip": _zip,
    "source.tar": _tar,
    "readings.db": _sqlite,
    "add.wasm": _wasm,
    "gauges.json.gz": lambda: gzip.compress(JSON.encode() * 4, mtime=0),
    "gauges.csv.bz2": lambda: bz2.compress(CSV.encode()),
    "gauges.csv.xz": lambda: lzma.compress(CSV.encode()),
    "window.pickle": lambda: pickle.dumps({"window": [n / 7 for n in range(60)], "unit": "bar"}, protocol=4),
}

_TEXTS: Final[dict[str, str]] = {
    "average.py": PYTHON,
    "crc.c": C,
    "gauges.js": JAVASCRIPT,
    "index.html": HTML,
    "style.css": CSS,
    "gauges.json": JSON,
    "compose.yaml": YAML,
    "Cargo.toml": TOML,
    "network.ini": INI,
    "readme.md": MARKDOWN,
    "readings.csv": CSV,
    "plant.xml": XML,
    "dial.svg": SVG,
    "backup.sh": SHELL,
    "readings.sql": SQL,
    "server.go": GO,
    "gauge.rs": RUST,
    "Readings.java": JAVA,
    "reading.php": PHP,
    "reader.rb": RUBY,
    "mean.pl": PERL,
    "Dockerfile": DOCKERFILE,
    "Makefile": MAKEFILE,
    "fix.diff": DIFF,
    "angle.tex": LATEX,
    "log.rtf": RTF,
    "inspection.ics": ICALENDAR,
    "training.srt": SRT,
}


def make_samples() -> dict[str, bytes]:
    """Return the samples' contents by file name, sorted."""
    samples = {name: text.encode() for name, text in _TEXTS.items()}
    samples.update({name: make() for name, make in _MAKERS.items()})
    return dict(sorted(samples.items()))
