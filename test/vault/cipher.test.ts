import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { generateKeyRing, open, parseKeyRing, rewrap, seal } from '../../server/vault/cipher.ts'

const ringText = (...ids: string[]) => ids.map(id => `${id}:${randomBytes(32).toString('base64')}`).join('\n')
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
  const ring = parseKeyRing(generateKeyRing())

  test('what was sealed opens to the same text, whatever the text, and only with its own associated data', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (text, aad, other) => {
        const envelope = seal(ring, text, aad)
        expect(open(ring, envelope, aad)).toBe(text)
        expect(codeOf(() => open(ring, envelope, other))).toBe(other === aad ? undefined : 'internal')
      })
    )
  })

  test('the same text sealed twice shows nothing in common, and not itself', () => {
    const [one, two] = [seal(ring, 'cs-management-token', 'a'), seal(ring, 'cs-management-token', 'a')]
    expect(one.split('.').slice(2)).not.toEqual(two.split('.').slice(2))
    expect(Buffer.from(one.split('.')[3]!, 'base64url').toString('latin1')).not.toContain('management')
  })

  test('an envelope changed in any one character does not open', () => {
    const envelope = seal(ring, 'secret', 'row')
    const start = envelope.indexOf('.', envelope.indexOf('.') + 1) + 1
    for (let at = start; at < envelope.length; at++) {
      // The last character of each part may carry unused bits.
      if (at === envelope.length - 1 || envelope[at + 1] === '.' || envelope[at] === '.') continue
      const changed = `${envelope.slice(0, at)}${envelope[at] === 'A' ? 'B' : 'A'}${envelope.slice(at + 1)}`
      expect(codeOf(() => open(ring, changed, 'row'))).toBe('internal')
    }
  })

  test.each([
    ['empty', () => ''],
    ['cut in the middle', (envelope: string) => envelope.slice(0, envelope.length / 2)],
    ['without its ciphertext', (envelope: string) => envelope.split('.').slice(0, 3).join('.')],
    ['of another version', (envelope: string) => envelope.replace(/^q1/, 'q2')],
    ['with a part too many', (envelope: string) => `${envelope}.AAAA`],
    ['with an empty part', (envelope: string) => envelope.replace(/\.[^.]*$/, '.')],
    ['with a tag cut short', (envelope: string) => envelope.replace(/\.[^.]*$/, `.${randomBytes(14).toString('base64url')}`)],
    ['of an unknown key', (envelope: string) => envelope.replace(/^q1\.[^.]+/, 'q1.stranger')]
  ])('an envelope %s is refused without showing anything of it', (_, damage) => {
    const envelope = damage(seal(ring, 'secret', 'row'))
    const refusal = refusalOf(() => open(ring, envelope, 'row'))
    expect(refusal).toMatchObject({ name: 'AppError', code: 'internal' })
    expect(refusal?.message).not.toContain(envelope || 'undefined')
  })

  test('rewrapping moves the envelope to the current key, and the old key may go', () => {
    const [older, newer] = [ringText('older'), ringText('newer')]
    const envelope = seal(parseKeyRing(older), 'secret', 'row')
    const moved = rewrap(parseKeyRing(`${newer}\n${older}`), envelope, 'row')
    expect(open(parseKeyRing(newer), moved, 'row')).toBe('secret')
    expect(codeOf(() => open(parseKeyRing(newer), envelope, 'row'))).toBe('internal')
    expect(codeOf(() => rewrap(parseKeyRing(`${newer}\n${older}`), envelope, 'another row'))).toBe('internal')
  })

  test('a key of the same id with other bytes opens nothing', () => {
    const envelope = seal(parseKeyRing(ringText('k')), 'secret', 'row')
    expect(codeOf(() => open(parseKeyRing(ringText('k')), envelope, 'row'))).toBe('internal')
  })
})

describe('the key ring', () => {
  test('the first line seals, the last is the first key ever, comments and blank lines are skipped', () => {
    const ring = parseKeyRing(`# made in spring\n\n${ringText('new', 'middle', 'old')}\r\n`)
    expect([ring.current.id, ring.first.id, [...ring.keys.keys()]]).toEqual(['new', 'old', ['new', 'middle', 'old']])
  })

  test('a generated ring is usable and different each time', () => {
    const [one, two] = [generateKeyRing(), generateKeyRing()]
    expect(parseKeyRing(one).keys.size).toBe(1)
    expect(one).not.toBe(two)
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
