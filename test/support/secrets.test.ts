// The sweep for secrets must be able to find one: in each form, alone and in the middle of other text, and without saying it.
import { describe, expect, it } from 'vitest'
import { formsOf, searchIn } from './secrets.ts'

/** Made-up; with every character that an encoding changes. */
const secret = 'cs0a/b+c"d e=f&g%h_ünïcode-0123456789'
const search = (text: string, of = secret) => searchIn([{ name: 'a place', text }], new Map([[of, 'a secret']]))

const plantings: [string, (secret: string) => string][] = [
  ['as it is', it => it],
  ['base64', it => Buffer.from(it).toString('base64')],
  ['base64url', it => Buffer.from(it).toString('base64url')],
  ['hex', it => Buffer.from(it).toString('hex')],
  ['capital hex', it => Buffer.from(it).toString('hex').toUpperCase()],
  ['percent-encoded', it => encodeURIComponent(it)],
  ['percent-encoded in small letters', it => encodeURIComponent(it).replaceAll(/%../g, code => code.toLowerCase())],
  ['JSON', it => JSON.stringify({ it })],
  ['JSON with its slashes escaped', it => JSON.stringify({ it }).replaceAll('/', '\\/')]
]

describe('a secret is found', () => {
  it.each(plantings)('planted: %s', (_form, plant) => {
    expect(search(`before ${plant(secret)} after`)).toEqual([expect.objectContaining({ what: 'a secret' })])
  })

  it.each(['', 'u', 'us', 'user:', 'user@host:'])('in base64 behind "%s", and before something else', before => {
    for (const encoding of ['base64', 'base64url'] as const)
      for (const after of ['', '!', '!!', ' and more'])
        expect(search(Buffer.from(`${before}${secret}${after}`).toString(encoding))).toHaveLength(1)
  })
})

it('is not found where it is not, be it only a letter short', () => {
  for (const [, plant] of plantings) expect(search(plant(secret.slice(0, -2)))).toEqual([])
})

it('is looked for only where chance cannot find it', () => {
  expect(() => search('', 'short')).toThrow('a secret')
  for (const { text } of formsOf('0123456789ab')) expect(text.length).toBeGreaterThanOrEqual(12)
})
