#!/usr/bin/perl
use strict;
use warnings;

my %sum;
my %count;
while (my $line = <STDIN>) {
    chomp $line;
    next unless $line =~ /^(\w+)\s+(-?\d+(?:\.\d+)?)$/;
    $sum{$1} += $2;
    $count{$1}++;
}
for my $gauge (sort keys %sum) {
    printf "%-10s %.2f\n", $gauge, $sum{$gauge} / $count{$gauge};
}
