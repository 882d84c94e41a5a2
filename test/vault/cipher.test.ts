import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { generateKeyRing, type KeyRing, open, parseKeyRing, rewrap, ringMark, seal } from '../../server/vault/cipher.ts'

const ringText = (...ids: string[]) => ids.map(id => `${id}:${randomBytes(32).toString('base64')}`).join('\n')
const keyOf = (ring: KeyRing) => (id: string) => {
  const key = ring.keys.get(id)
  if (key) return key
  throw Object.assign(new Error('not on the ring'), { code: 'missing' })
}
/** What `act` throws; undefined when it does not. */
const refusalOf = (act: () => unknown): { name?: string; code?: string; message?: string; remedy?: string } | undefined => {
  try {
    act()
  } catch (error) {
    return error as Error
  }
}
const codeOf = (act: () => unknown) => refusalOf(act)?.code

describe('sealing', () => {
  const ring = parseKeyRing(ringText('k1', 'k2'))
  const keys = keyOf(ring)
  const aad = '["secret","org_1","ins_1","sec_1","management_token",1]'

  test('what was sealed opens to the same text, whatever the text, and only with its own associated data', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (text, aad, other) => {
        const envelope = seal(ring.current, text, aad)
        expect(open(keys, envelope, aad)).toBe(text)
        expect(codeOf(() => open(keys, envelope, other))).toBe(other === aad ? undefined : 'internal')
      })
    )
  })

  test('the same text sealed twice shows nothing in common, and not itself', () => {
    const [one, two] = [seal(ring.current, 'cs-management-token', 'a'), seal(ring.current, 'cs-management-token', 'a')]
    const [a, b] = [one.split('.').slice(2), two.split('.').slice(2)]
    expect(a.filter(part => b.includes(part))).toEqual([])
    expect(Buffer.from(one.split('.')[3]!, 'base64url').toString('latin1')).not.toContain('management')
  })

  test('an envelope with any one bit flipped does not open, wherever the bit stands and whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(), fc.nat(7), (text, at, bit) => {
        const bytes = Buffer.from(seal(ring.current, text, aad), 'latin1')
        bytes[at % bytes.length]! ^= 1 << bit
        expect(['internal', 'missing']).toContain(codeOf(() => open(keys, bytes.toString('latin1'), aad)))
      }),
      { numRuns: 2_000 }
    )
  })

  test('every bit of one envelope, one after the other', () => {
    const envelope = seal(ring.current, 'management token', aad)
    const opened: string[] = []
    for (let at = 0; at < envelope.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const bytes = Buffer.from(envelope, 'latin1')
        bytes[at]! ^= 1 << bit
        const flipped = bytes.toString('latin1')
        if (codeOf(() => open(keys, flipped, aad)) === undefined) opened.push(`${at}.${bit}`)
        if (codeOf(() => rewrap(keys, ring.current, flipped, aad)) === undefined) {
          // A rewrap does not read the sealed part; what it makes of a damaged one does not open either.
          const moved = rewrap(keys, ring.current, flipped, aad)
          if (codeOf(() => open(keys, moved, aad)) === undefined) opened.push(`${at}.${bit} rewrapped`)
        }
      }
    }
    expect(opened).toEqual([])
  })

  const part = (at: number, change: (text: string) => string) => (envelope: string) =>
    envelope
      .split('.')
      .map((text, n) => (n === at ? change(text) : text))
      .join('.')
  const other = () => seal(ring.current, 'the other row', '["secret","org_1","ins_1","sec_2","management_token",1]')
  const mutations: [string, (envelope: string) => string][] = [
    ['empty', () => ''],
    ['of dots', () => '...'],
    ['cut in the middle', envelope => envelope.slice(0, envelope.length / 2)],
    ['with a part too many', envelope => `${envelope}.AAAA`],
    ['of another version', part(0, () => 'q2')],
    ['without a version', part(0, () => '')],
    ['without a key id', part(1, () => '')],
    ['of a key that is on the ring and did not wrap it', part(1, () => 'k2')],
    ['of an unknown key', part(1, () => 'stranger')],
    ['of a prototype’s name', part(1, () => '__proto__')],
    ['with its wrapped key cut', part(2, text => text.slice(0, -4))],
    ['with its wrapped key lengthened', part(2, text => `${text}AAAA`)],
    ['without its wrapped key', part(2, () => '')],
    ['with the wrapped key of another row', envelope => part(2, () => other().split('.')[2]!)(envelope)],
    ['with its iv cut', part(3, text => text.slice(0, 8))],
    ['with its tag cut short', part(3, () => randomBytes(20).toString('base64url'))],
    ['with nothing but iv and tag', part(3, () => randomBytes(28).toString('base64url'))],
    ['with its ciphertext cut', part(3, text => text.slice(0, -4))],
    ['with its ciphertext lengthened', part(3, text => `${text}AAAA`)],
    ['without its ciphertext', part(3, () => '')],
    ['with the ciphertext of another row', envelope => part(3, () => other().split('.')[3]!)(envelope)],
    ['that is all of another row', () => other()],
    ['with its parts in another order', envelope => envelope.split('.').toReversed().join('.')],
    ['with wrapped key and ciphertext exchanged', envelope => [0, 1, 3, 2].map(n => envelope.split('.')[n]).join('.')],
    ['padded as base64', part(3, text => `${text}=`)],
    ['with a line break', part(3, text => `${text.slice(0, 10)}\n${text.slice(10)}`)],
    ['in upper case', envelope => envelope.toUpperCase()]
  ]
  test.each(mutations)('an envelope %s is refused without showing anything of it', (_, damage) => {
    const envelope = damage(seal(ring.current, 'secret', aad))
    const refusal = refusalOf(() => open(keys, envelope, aad))
    expect(['internal', 'missing']).toContain(refusal?.code)
    expect(refusal?.message).not.toContain(envelope || 'undefined')
    expect(codeOf(() => open(keys, seal(ring.current, 'secret', aad), aad))).toBeUndefined()
  })

  test.each([
    ['another organization', '["secret","org_2","ins_1","sec_1","management_token",1]'],
    ['another installation', '["secret","org_1","ins_2","sec_1","management_token",1]'],
    ['no installation', '["secret","org_1",null,"sec_1","management_token",1]'],
    ['another row', '["secret","org_1","ins_1","sec_2","management_token",1]'],
    ['another purpose', '["secret","org_1","ins_1","sec_1","connection",1]'],
    ['another version', '["secret","org_1","ins_1","sec_1","management_token",2]'],
    ['another table', '["session","org_1","ins_1","sec_1","management_token",1]']
  ])('an envelope moved to %s neither opens nor is rewrapped', (_, elsewhere) => {
    const envelope = seal(ring.current, 'secret', aad)
    expect(codeOf(() => open(keys, envelope, elsewhere))).toBe('internal')
    expect(codeOf(() => rewrap(keys, ring.current, envelope, elsewhere))).toBe('internal')
  })

  test('rewrapping moves the envelope to the other key, and the old key may go', () => {
    const [older, newer] = [parseKeyRing(ringText('older')), parseKeyRing(ringText('newer'))]
    const both = (id: string) => (newer.keys.get(id) ?? older.keys.get(id))!
    const envelope = seal(older.current, 'secret', 'row')
    const moved = rewrap(both, newer.current, envelope, 'row')
    expect(open(keyOf(newer), moved, 'row')).toBe('secret')
    expect(codeOf(() => open(keyOf(newer), envelope, 'row'))).toBe('missing')
  })

  test('a key of the same id with other bytes opens nothing', () => {
    const envelope = seal(parseKeyRing(ringText('k')).current, 'secret', 'row')
    expect(codeOf(() => open(keyOf(parseKeyRing(ringText('k'))), envelope, 'row'))).toBe('internal')
  })
})

describe('the key ring', () => {
  test('the first line is the current key, comments and blank lines are skipped', () => {
    const ring = parseKeyRing(`# made in spring\n\n${ringText('new', 'middle', 'old')}\r\n`)
    expect([ring.current.id, [...ring.keys.keys()]]).toEqual(['new', ['new', 'middle', 'old']])
  })

  test('a generated ring is usable and different each time', () => {
    const [one, two] = [generateKeyRing(), generateKeyRing()]
    expect(parseKeyRing(one).keys.size).toBe(1)
    expect(one).not.toBe(two)
  })

  test('its marks differ by key, label and text, and show nothing of the key', () => {
    const [one, two] = [parseKeyRing(ringText('k')).current, parseKeyRing(ringText('k')).current]
    const marks = [ringMark(one, 'a', 'x'), ringMark(two, 'a', 'x'), ringMark(one, 'b', 'x'), ringMark(one, 'a', 'y')]
    expect(new Set(marks).size).toBe(4)
    expect(ringMark(one, 'a', 'x')).toBe(marks[0])
    expect(marks[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(marks[0]).not.toContain(one.bytes.toString('hex').slice(0, 8))
  })

  const good = randomBytes(32).toString('base64')
  test.each([
    ['nothing', ''],
    ['only a comment', '# k:abc'],
    ['a key without id', good],
    ['an id with odd characters', `a key:${good}`],
    ['a key too short', `k:${randomBytes(16).toString('base64')}`],
    ['a key too long', `k:${randomBytes(33).toString('base64')}`],
    ['no base64', `k:${'!'.repeat(44)}`],
    ['the same id twice', `k:${good}\nk:${randomBytes(32).toString('base64')}`],
    ['a key of zeros', `k:${Buffer.alloc(32).toString('base64')}`],
    ['a pattern', `k:${Buffer.from('0123456789abcdef'.repeat(4), 'hex').toString('base64')}`],
    ['typed text', `k:${Buffer.from('change-me-change-me-please-now!!').toString('base64')}`]
  ])('refuses %s, names the remedy and shows no key', (_, text) => {
    const refusal = refusalOf(() => parseKeyRing(text))
    expect(refusal).toMatchObject({ code: 'invalid', remedy: expect.stringContaining('keys new') })
    const keys = text.split('\n').map(line => line.split(':').at(-1) ?? '')
    expect(keys.filter(key => key.length > 20 && refusal?.message?.includes(key))).toEqual([])
  })
})
