<?php
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
