// What may be an address at all, judged before any name is looked up.
import { describe, expect, it } from 'vitest'
import { parseEmail, parseUrl, shownUrl } from '../../server/alerts/address.ts'
import { isAppError } from '../../server/errors.ts'

function refusalOf(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    if (isAppError(error, 'invalid') && error.fields?.address && error.remedy) return error.message
    throw error
  }
  throw new Error('it was taken')
}

describe('an e-mail address', () => {
  it.each([
    'ada@example.com',
    'Ada.Lovelace+cms@mail.example.co.uk',
    'o’neill@example.com'.replace('’', "'"),
    `${'a'.repeat(64)}@example.com`
  ])('may be %s', address => {
    expect(parseEmail(address)).toBe(address)
  })

  it.each([
    ['nothing', ''],
    ['no @', 'ada.example.com'],
    ['two @', 'ada@eve.com@example.com'],
    ['another header', 'ada@example.com\r\nBcc: eve@example.com'],
    ['a line feed at its end', 'ada@example.com\n'],
    ['a carriage return', 'ada@example.com\rRCPT TO:<eve@example.com>'],
    ['a NUL', 'ada@example.com\0'],
    ['an encoded line end', 'ada%0d%0aBcc:eve@example.com'],
    ['two addresses', 'ada@example.com,eve@example.com'],
    ['two addresses by semicolon', 'ada@example.com;eve@example.com'],
    ['two addresses by space', 'ada@example.com eve@example.com'],
    ['a name', 'Ada <ada@example.com>'],
    ['a name that is an address', 'ada@example.com <eve@example.com>'],
    ['angle brackets', '<ada@example.com>'],
    ['a comment', 'ada(eve@example.com)@example.com'],
    ['a quoted local part', '"ada@eve.com"@example.com'],
    ['a group', 'all:ada@example.com;'],
    ['a mailto: address', 'mailto:ada@example.com'],
    ['a source route', '@eve.com:ada@example.com'],
    ['a bang path', 'eve!ada@example.com'],
    ['a percent hack', 'ada%eve.com@example.com'],
    ['an address literal', 'ada@[127.0.0.1]'],
    ['an address for a domain', 'ada@127.0.0.1'],
    ['a host without a domain', 'ada@localhost'],
    ['a trailing dot', 'ada@example.com.'],
    ['two dots', 'ada..b@example.com'],
    ['a leading dot', '.ada@example.com'],
    ['a fullwidth @', 'ada＠example.com'],
    ['a letter of another script', 'аda@example.com'],
    ['a domain in another script', 'ada@exаmple.com'],
    ['a right-to-left override', 'ada\u202Emoc.elpmaxe@eve.com'],
    ['a zero-width space', 'ada\u200B@example.com'],
    ['an ideographic full stop', 'ada@example。com'],
    ['a dotless i', 'adaı@example.com'],
    ['65 characters before the @', `${'a'.repeat(65)}@example.com`],
    ['255 characters', `ada@${'a.'.repeat(124)}com`],
    ['an option of a mailer', '-oQ/tmp@'],
    ['a URL', 'https://example.com/ada@example.com']
  ])('is not %s', (_case, address) => {
    expect(refusalOf(() => parseEmail(address))).toBe('The address is not one e-mail address.')
  })
})

describe('a URL', () => {
  const strict = { httpAllowed: false }

  it.each([
    ['https://hooks.slack.com/services/T000/B000/XXXX', 'https://hooks.slack.com'],
    ['HTTPS://Hooks.Example.com:8443/a?b=c%20d', 'https://hooks.example.com:8443'],
    ['https://xn--bcher-kva.example/hook', 'https://xn--bcher-kva.example'],
    ['https://example.com/@team/hook?to=a@b', 'https://example.com']
  ])('may be %s and shows no more than its host', (address, shown) => {
    expect(shownUrl(parseUrl(address, strict))).toBe(shown)
  })

  it('may have 2,048 characters and no more', () => {
    const long = (length: number) => `https://example.com/${'a'.repeat(length - 20)}`
    expect(parseUrl(long(2048), strict).href).toHaveLength(2048)
    expect(refusalOf(() => parseUrl(long(2049), strict))).toContain('longer than 2048')
  })

  it('may be plain http in development alone', () => {
    expect(parseUrl('http://localhost:4000/hook', { httpAllowed: true }).protocol).toBe('http:')
    expect(refusalOf(() => parseUrl('http://localhost:4000/hook', strict))).toContain('must begin with https://')
  })

  it.each([
    ['nothing', ''],
    ['plain http', 'http://example.com/hook'],
    ['a file', 'file:///etc/passwd'],
    ['script', 'javascript:alert(1)'],
    ['data', 'data:text/plain,x'],
    ['gopher', 'gopher://example.com/'],
    ['no scheme', 'example.com/hook'],
    ['a scheme without slashes', 'https:example.com'],
    ['one slash', 'https:/example.com'],
    ['three slashes', 'https:///example.com/'],
    ['no host', 'https://'],
    ['a user', 'https://ada@example.com/'],
    ['a user and a password', 'https://ada:secret@example.com/'],
    ['an empty user', 'https://@example.com/'],
    ['an empty password', 'https://:@example.com/'],
    ['a host that is a user', 'https://hooks.slack.com@evil.example/'],
    ['a backslash for a slash', 'https:\\\\example.com\\hook'],
    ['a backslash in its path', 'https://example.com\\hook'],
    ['a backslash before an @', 'https://hooks.slack.com\\@evil.example/'],
    ['a line feed', 'https://exam\nple.com/'],
    ['another header', 'https://example.com/\r\nHost: evil.example'],
    ['a tab', 'https://example.com/\thook'],
    ['a space before', ' https://example.com/'],
    ['a NUL', 'https://example.com/\0'],
    ['fullwidth dots', 'https://127。0。0。1/'],
    ['fullwidth digits', 'https://１２７.0.0.1/'],
    ['a letter of another script', 'https://hooks.slаck.com/'],
    ['a right-to-left override', 'https://example.com/\u202Ekooh'],
    ['a port that is none', 'https://example.com:99999/'],
    ['a broken IPv6 address', 'https://[::1/']
  ])('is not %s', (_case, address) => {
    expect(refusalOf(() => parseUrl(address, strict))).toMatch(/^The address /)
  })
})
