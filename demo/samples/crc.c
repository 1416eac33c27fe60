#include <stdint.h>
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
    const char *frame = "\x01\x03\x00\x00\x00\x02";
    printf("%04x\n", crc16((const uint8_t *)frame, 6));
    return 0;
}
