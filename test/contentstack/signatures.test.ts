import { constants, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { publicKeyOf, verifyAppToken, verifyWebhook, withPublicKey } from '../../server/contentstack/signatures.ts'
import { regionOf } from '../support/contentstack.ts'
import { startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let ours: KeyObject
let key: KeyObject
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })

beforeAll(async () => {
  sandbox = await startSandbox()
  ours = createPrivateKey(sandbox.world.signing.privatePem)
  key = await publicKeyOf(regionOf(sandbox))
})
afterAll(() => sandbox.close())

const signed = (body: Buffer, by: KeyObject = ours, saltLength = 32): string =>
  `v1=${sign('sha256', body, { key: by, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }).toString('base64')}`
const body = Buffer.from('{"event":"update","data":{"entry":{"uid":"blt1"}}}')
const spaced = Buffer.from('{ "event": "update",\n "data": {} }')

describe('the signature of a webhook', () => {
  it('covers the raw bytes', () => {
    expect(verifyWebhook(body, signed(body), key)).toEqual(body)
  })

  it('may cover the re-serialised JSON instead, and then that is what is returned', () => {
    const again = Buffer.from(JSON.stringify(JSON.parse(spaced.toString())))
    expect(verifyWebhook(spaced, signed(again), key)).toEqual(again)
  })

  it('may be followed by others in the header', () => {
    expect(verifyWebhook(body, `${signed(body)},v2=other`, key)).toEqual(body)
  })

  it.each<[string, () => [Buffer, string | undefined]]>([
    ['without a header', () => [body, undefined]],
    ['with an empty header', () => [body, '']],
    ['with only the version', () => [body, 'v1=']],
    ['of another body', () => [Buffer.from('{"event":"delete"}'), signed(body)]],
    ['with one byte more', () => [Buffer.concat([body, Buffer.from(' x')]), signed(body)]],
    ['by a stranger', () => [body, signed(body, stranger.privateKey)]],
    ['in PKCS#1 v1.5', () => [body, `v1=${sign('sha256', body, ours).toString('base64')}`]],
    ['with another salt length', () => [body, signed(body, ours, 20)]],
    ['cut short', () => [body, signed(body).slice(0, 100)]],
    ['not base64', () => [body, 'v1=%%%%']],
    ['under another version', () => [body, signed(body).replace('v1', 'v9')]],
    [
      'as an HMAC with the public key',
      () => [body, `v1=${createHmac('sha256', sandbox.world.signing.publicPem).update(body).digest('base64')}`]
    ],
    ['of a body that is no JSON', () => [Buffer.from('not json'), signed(Buffer.from('something'))]]
  ])('is refused %s', (_name, make) => {
    const [raw, header] = make()
    expect(verifyWebhook(raw, header, key)).toBeNull()
  })
})

const claims = { app_uid: 'app', installation_uid: 'ins', organization_uid: 'org', user_uid: 'user', stack_api_key: 'blt1' }
const now = Date.now()
const tokenOf = (payload: Record<string, unknown>, by: KeyObject = ours, alg = 'RS256'): Promise<string> => {
  const { exp = Math.floor(now / 1000) + 300, ...rest } = payload
  const jwt = new SignJWT(rest).setProtectedHeader({ alg })
  return (exp === null ? jwt : jwt.setExpirationTime(exp as number)).sign(by)
}
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('an app-token', () => {
  it('names app, installation, organization, person and stack', async () => {
    expect(await verifyAppToken(await tokenOf(claims), key, now)).toEqual({
      appUid: 'app',
      installationUid: 'ins',
      organizationUid: 'org',
      userUid: 'user',
      stackApiKey: 'blt1',
      expiresAt: (Math.floor(now / 1000) + 300) * 1000
    })
  })

  it('may carry iss and aud, and may carry no stack', async () => {
    const { stack_api_key: _, ...rest } = claims
    expect(await verifyAppToken(await tokenOf({ ...rest, iss: 'x', aud: 'app' }), key, now)).toMatchObject({ stackApiKey: null })
  })

  it.each<[string, () => Promise<string>]>([
    ['expired', () => tokenOf({ ...claims, exp: Math.floor(now / 1000) - 60 })],
    ['without an end', () => tokenOf({ ...claims, exp: null })],
    ['by a stranger', () => tokenOf(claims, stranger.privateKey)],
    ['with another algorithm of the same key', () => tokenOf(claims, ours, 'PS256')],
    ['unsigned', () => Promise.resolve(`${part({ alg: 'none' })}.${part({ ...claims, exp: 9_999_999_999 })}.`)],
    [
      'signed as an HMAC with the public key',
      () => {
        const head = `${part({ alg: 'HS256' })}.${part({ ...claims, exp: 9_999_999_999 })}`
        return Promise.resolve(`${head}.${createHmac('sha256', sandbox.world.signing.publicPem).update(head).digest('base64url')}`)
      }
    ],
    [
      'with changed claims',
      async () => (await tokenOf(claims)).replace(/\.[^.]+\./, `.${part({ ...claims, user_uid: 'root', exp: 9_999_999_999 })}.`)
    ],
    ['without a person', () => tokenOf({ ...claims, user_uid: undefined })],
    ['with a number for a person', () => tokenOf({ ...claims, user_uid: 7 })],
    ['no token at all', () => Promise.resolve('nonsense')],
    ['empty', () => Promise.resolve('')]
  ])('is refused when %s', async (_name, make) => {
    await expect(verifyAppToken(await make(), key, now)).rejects.toMatchObject({ code: 'unauthorized' })
  })
})

describe("the region's key", () => {
  const served = (pem: () => string) => {
    let fetched = 0
    const fake: typeof fetch = () => {
      fetched += 1
      return Promise.resolve(Response.json({ 'signing-key': pem() }))
    }
    return { fetch: fake, count: () => fetched }
  }
  const regionNamed = (name: string) => ({
    id: name,
    location: name,
    application: `https://${name}.example`,
    contentManagement: '',
    developerHub: ''
  })
  const strangersPem = stranger.publicKey.export({ type: 'pkcs1', format: 'pem' }) as string

  it('is read once and kept', async () => {
    const host = served(() => strangersPem)
    await publicKeyOf(regionNamed('kept'), host)
    await publicKeyOf(regionNamed('kept'), host)
    expect(host.count()).toBe(1)
  })

  it('is not fetched again by bad signatures more than once a minute', async () => {
    const host = served(() => strangersPem)
    for (let tries = 0; tries < 5; tries += 1) expect(await withPublicKey(regionNamed('flood'), () => null, host)).toBeNull()
    expect(host.count()).toBe(1)
  })

  it.each(['', 'nonsense', createPublicKey(generateKeyPairSync('ed25519').privateKey).export({ type: 'spki', format: 'pem' }) as string])(
    'is refused when it is no RSA key (%#)',
    async pem => {
      await expect(
        publicKeyOf(
          regionNamed(`bad${pem.length}`),
          served(() => pem)
        )
      ).rejects.toMatchObject({ code: 'upstream' })
    }
  )
})
