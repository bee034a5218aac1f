import { describe, expect, test } from '@jest/globals'
import { clientAddress } from '../../../api/http/request/client-address.ts'
import { ConfigError, readConfig } from '../../../infra/config.ts'

const trusted = (text: string) => readConfig({ TRUSTED_PROXIES: text }).trustedProxies
const ranges = trusted('10.0.0.0/8, 127.0.0.1,fd00::/8')

describe('the address of a client', () => {
  test.each<[string, string | undefined, string | undefined, string]>([
    ['without proxies', '203.0.113.1', undefined, '203.0.113.1'],
    ['mapped into IPv6', '::ffff:203.0.113.1', undefined, '203.0.113.1'],
    ['that claims to be another', '203.0.113.1', '198.51.100.1', '203.0.113.1'],
    ['behind a proxy', '10.0.0.1', '203.0.113.1', '203.0.113.1'],
    ['behind a mapped proxy', '::ffff:10.0.0.1', '203.0.113.1', '203.0.113.1'],
    ['behind two proxies', '10.0.0.1', '203.0.113.1, 10.9.9.9', '203.0.113.1'],
    ['that wrote hops of its own', '10.0.0.1', '1.1.1.1, 10.2.2.2, 203.0.113.1, 10.9.9.9', '203.0.113.1'],
    ['with a port', '10.0.0.1', '203.0.113.1:4711', '203.0.113.1'],
    ['in brackets, with a port', '10.0.0.1', '[2001:db8:1:2:3:4:5:6]:4711', '2001:db8:1:2::'],
    ['of IPv6, by its site', '2001:db8:1:2:3:4:5:6', undefined, '2001:db8:1:2::'],
    ['behind a proxy that tells nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['behind a proxy that tells nonsense', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['behind a proxy after nonsense', '10.0.0.1', '203.0.113.1, evil, 10.0.0.2', '10.0.0.2'],
    ['in a form that only some read', '10.0.0.1', '3405803777', '10.0.0.1'],
    ['inside', '10.0.0.1', '10.0.0.2', '10.0.0.2'],
    ['behind a proxy of IPv6', 'fd00::1', '203.0.113.1', '203.0.113.1'],
    ['that is not known', undefined, '203.0.113.1', ''],
  ])('%s', (_, peer, forwardedFor, wanted) => {
    expect(clientAddress(peer, forwardedFor, ranges)).toBe(wanted)
  })

  test('no proxy is trusted unless named', () => {
    expect(clientAddress('127.0.0.1', '203.0.113.1', trusted(''))).toBe('127.0.0.1')
  })
})

test.each(['10.0.0.0/33', 'proxy.test', '10', '10/8', '10.0.0.1,', '1.2.3.4/', '::/129'])(
  'TRUSTED_PROXIES refuses %s',
  text => expect(() => trusted(text)).toThrow(ConfigError),
)

test('trials need an address to upgrade at', () => {
  expect(() => readConfig({ VSCODE_TRIALS_PER_DAY: '5' })).toThrow(/VSCODE_TRIAL_UPGRADE_URL/)
  const env = { VSCODE_TRIALS_PER_DAY: '5', VSCODE_TRIAL_UPGRADE_URL: 'https://upgrade.test' }
  expect(readConfig(env).vscodeTrials).toEqual({
    perDay: 5,
    perAddress: 3,
    creditUsd: '0.25',
    requestsPerDay: 200,
    days: 14,
    upgradeUrl: 'https://upgrade.test',
  })
})
