// What firmware says about the processors' frequencies (ACPI 6.5, 8.4.5), for the kernel's acpi-cpufreq. QEMU's own says nothing.
//
// Control and status register of a processor are one byte that keeps what is written: the scratch register (base + 7) of a serial port that
// has nothing else to do. It holds the frequency in units of 100 MHz.

DefinitionBlock ("", "SSDT", 2, "EDGED", "CPUFREQ", 1)
{
    // As QEMU's table names them.
    External (\_SB.CPUS.C000, DeviceObj)
    External (\_SB.CPUS.C001, DeviceObj)

    // MHz, mW, microseconds until it is set, microseconds without the bus, control, status.
    Name (\_SB.FREQ, Package () {
        Package () { 2400, 4000, 10, 10, 24, 24 },
        Package () { 1800, 3000, 10, 10, 18, 18 },
        Package () { 1200, 2000, 10, 10, 12, 12 },
        Package () {  600, 1000, 10, 10,  6,  6 }
    })

    Scope (\_SB.CPUS.C000)
    {
        Name (_PCT, Package () {
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x2FF) },
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x2FF) }
        })
        Method (_PSS) { Return (\_SB.FREQ) }
        Method (_PPC) { Return (0) } // firmware caps nothing
    }

    Scope (\_SB.CPUS.C001)
    {
        Name (_PCT, Package () {
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x3EF) },
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x3EF) }
        })
        Method (_PSS) { Return (\_SB.FREQ) }
        Method (_PPC) { Return (0) }
    }
}
