import { describe, expect, test } from '@jest/globals'
import { isPublicAddress } from '../../../../infra/outbound/addresses.ts'

describe('a public address', () => {
  test.each([
    ['1.1.1.1'],
    ['9.255.255.255'],
    ['11.0.0.0'],
    ['100.63.255.255'],
    ['100.128.0.0'],
    ['172.15.255.255'],
    ['172.32.0.0'],
    ['192.167.255.255'],
    ['223.255.255.255'],
    ['2606:4700:4700::1111'],
    ['2a00:1450:4001:80b::200e'],
    ['2001:4860:4860::8888'],
  ])('%s', address => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

describe('no public address', () => {
  test.each([
    ['this network', ['0.0.0.0', '0.1.2.3']],
    ['private', ['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1']],
    ['loopback', ['127.0.0.1', '127.255.255.254']],
    ['link-local, with the metadata of clouds', ['169.254.0.1', '169.254.169.254']],
    ['shared between carrier and customers', ['100.64.0.1', '100.127.255.255']],
    ['protocol assignments', ['192.0.0.1', '192.0.0.171']],
    ['documentation', ['192.0.2.1', '198.51.100.1', '203.0.113.1']],
    ['benchmarking', ['198.18.0.1', '198.19.255.255']],
    ['6to4 relays', ['192.88.99.1']],
    ['multicast', ['224.0.0.1', '239.255.255.255']],
    ['reserved', ['240.0.0.1', '255.255.255.254']],
    ['broadcast', ['255.255.255.255']],
    ['IPv6 unspecified and loopback', ['::', '::1']],
    ['IPv4-mapped', ['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8']],
    ['IPv4-compatible', ['::127.0.0.1', '::a00:1', '::8.8.8.8']],
    ['IPv4-translated', ['::ffff:0:7f00:1']],
    ['NAT64', ['64:ff9b::7f00:1', '64:ff9b::808:808', '64:ff9b:1::a00:1']],
    ['6to4', ['2002:7f00:1::', '2002:a00:1::1']],
    ['Teredo', ['2001::1', '2001:0:a00:1::']],
    ['discard', ['100::1']],
    ['benchmarking and documentation of IPv6', ['2001:2::1', '2001:db8::1', '3fff::1']],
    ['ORCHID', ['2001:10::1', '2001:20::1']],
    ['unique local', ['fc00::1', 'fdff::1']],
    ['link-local of IPv6', ['fe80::1', 'febf::1', 'fe80::1%lo']],
    ['site-local', ['fec0::1']],
    ['multicast of IPv6', ['ff02::1', 'ff0e::1']],
    ['segment routing', ['5f00::1']],
    ['outside of what is assigned', ['4000::1', '1000::1', 'e000::1']],
    ['no address at all', ['', 'localhost', '127.1', '0x7f000001', '2130706433', '1.2.3.4.5', '[::1]', '1.1.1.1/8']],
  ])('%s', (_, addresses) => {
    expect(addresses.filter(isPublicAddress)).toEqual([])
  })
})
