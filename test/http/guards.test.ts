// Whom a limit counts.
import { describe, expect, it } from 'vitest'
import { clientOf } from '../../server/http/guards.ts'

describe('a limit counts', () => {
  it.each([
    ['an IPv4 address as it is', '203.0.113.7', '203.0.113.7'],
    ['an IPv4 address that came over an IPv6 socket as the same', '::ffff:203.0.113.7', '203.0.113.7'],
    ['an IPv6 address by its network of 64 bits', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['another address of that network as the same', '2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
    ['the same written with leading zeros', '2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
    ['a short one by its zeros', '2001:db8::1', '2001:db8:0:0::/64'],
    ['one with a zone without it', 'fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['the loopback', '::1', '0:0:0:0::/64'],
    ['a request whose socket is gone with its like', undefined, 'unknown']
  ])('%s', (_case, ip, expected) => {
    expect(clientOf({ ip })).toBe(expected)
  })
})
