import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts'
import type { AppCredentials } from '../../server/contentstack/oauth.ts'
import type { Database } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { isAppError } from '../../server/errors.ts'
import { admitAppToken, useAppToken } from '../../server/identity/app-token.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation, insertOrganization } from '../support/rows.ts'

const ports = { application: 0, contentManagement: 0, developerHub: 0, identity: 0, control: 0 }
const appUid = 'app-quayside'
const second = 1000

let sandbox: Sandbox
let apps: AppCredentials[]
let serial = 0

beforeAll(async () => {
  sandbox = await createSandbox({ ports })
  const { application, contentManagement, developerHub } = sandbox.urls
  const region = { id: 'sandbox', location: 'SANDBOX', application, contentManagement, developerHub }
  apps = [{ region, appUid, clientId: 'id', clientSecret: 'secret', webhookSecret: 'webhook-secret' }]
})
afterAll(() => sandbox.close())

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor(Date.now() / second)

function signed(claims: object, header: object = { alg: 'RS256', typ: 'JWT' }, key: string = sandbox.world.signing.privatePem): string {
  const text = `${part(header)}.${part(claims)}`
  return `${text}.${sign('RSA-SHA256', Buffer.from(text), key).toString('base64url')}`
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'passed'
  } catch (error) {
    if (isAppError(error)) return error.code
    throw error
  }
}

forEachDatabase(open => {
  let database: Database
  let installation: Row<'installation'>
  let organizationUid: string

  beforeAll(async () => {
    database = await open()
  })
  beforeEach(async () => {
    const organization = await insertOrganization(database.db)
    organizationUid = organization.organization_uid
    installation = await insertInstallation(database.db, { organization_id: organization.id, app_uid: appUid })
  })

  const claimsOf = (changes: object = {}) => ({
    app_uid: appUid,
    installation_uid: installation.installation_uid,
    organization_uid: organizationUid,
    user_uid: 'blt7e09f00000000001',
    stack_api_key: installation.stack_api_key,
    // Two tokens of one test must differ; real ones of one second do not.
    iat: now() - (serial += 1),
    exp: now() + 300,
    ...changes
  })
  const traces = async () => (await database.db.selectFrom('app_token_use').selectAll().execute()).length

  describe('an app-token', () => {
    it('admits a person to the installation that agrees with it', async () => {
      const admitted = await admitAppToken(database.db, { apps }, signed(claimsOf()))
      expect(admitted).toMatchObject({
        region: { id: 'sandbox' },
        claims: { userUid: 'blt7e09f00000000001' },
        installation: { id: installation.id }
      })
      expect(admitted.installation).toEqual(installation)
    })

    it('admits with issuer and audience set, whatever they are', async () => {
      const token = signed(claimsOf({ iss: sandbox.urls.application, aud: appUid }))
      expect(await refusal(admitAppToken(database.db, { apps }, token))).toBe('passed')
    })

    it('of an installation that we do not know proves it', async () => {
      const token = signed(claimsOf({ installation_uid: 'unknown-installation' }))
      expect((await admitAppToken(database.db, { apps }, token)).installation).toBeNull()
    })

    it('may tell a pending installation its stack', async () => {
      await database.db
        .updateTable('installation')
        .set({ status: 'pending', stack_api_key: '' })
        .where('id', '=', installation.id)
        .execute()
      expect((await admitAppToken(database.db, { apps }, signed(claimsOf()))).installation?.status).toBe('pending')
    })

    it.each<[string, () => string]>([
      ['nothing', () => ''],
      ['text', () => 'hello'],
      ['three empty parts', () => '..'],
      ['parts that are no JSON', () => 'aa.bb.cc'],
      ['a token beyond any length', () => `${'a'.repeat(5000)}.b.c`],
      [
        'another key',
        () =>
          signed(
            claimsOf(),
            undefined,
            generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
          )
      ],
      ['alg none', () => `${part({ alg: 'none' })}.${part(claimsOf())}.`],
      ['alg none with a signature', () => signed(claimsOf(), { alg: 'none' })],
      ['alg RS512', () => signed(claimsOf(), { alg: 'RS512' })],
      [
        'HMAC under the public key',
        () => {
          const text = `${part({ alg: 'HS256' })}.${part(claimsOf())}`
          return `${text}.${createHmac('sha256', sandbox.world.signing.publicPem).update(text).digest('base64url')}`
        }
      ],
      ['a changed payload', () => signed(claimsOf()).replace(/\.[^.]+\./, `.${part(claimsOf({ user_uid: 'blt0000000000000000' }))}.`)],
      [
        'a key of its own in the header',
        () =>
          signed(
            claimsOf(),
            { alg: 'RS256', jku: 'https://evil.example/keys', jwk: { kty: 'RSA' } },
            generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
          )
      ],
      ['an expired token', () => signed(claimsOf({ exp: now() - 60 }))],
      ['a token without end', () => signed(claimsOf({ exp: undefined }))],
      ['a token not valid yet', () => signed(claimsOf({ nbf: now() + 600 }))],
      ['another app', () => signed(claimsOf({ app_uid: 'another-app' }))],
      ['an app that is no text', () => signed(claimsOf({ app_uid: { $ne: '' } }))],
      ['another organization', () => signed(claimsOf({ organization_uid: 'blt000000000000000a' }))],
      ['another stack', () => signed(claimsOf({ stack_api_key: 'blt000000000000000b' }))],
      ['no stack', () => signed(claimsOf({ stack_api_key: undefined }))],
      ['no person', () => signed(claimsOf({ user_uid: undefined }))],
      ['no installation', () => signed(claimsOf({ installation_uid: '' }))]
    ])('is refused and leaves no trace: %s', async (_title, token) => {
      const before = await traces()
      expect(await refusal(admitAppToken(database.db, { apps }, token()))).toBe('unauthorized')
      expect(await traces()).toBe(before)
    })

    it('does not open what is uninstalled, and says so', async () => {
      await database.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', installation.id).execute()
      expect(await refusal(admitAppToken(database.db, { apps }, signed(claimsOf())))).toBe('forbidden')
    })

    it('does not open an organization that the operator does not list', async () => {
      await database.db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', installation.organization_id).execute()
      expect(await refusal(admitAppToken(database.db, { apps }, signed(claimsOf())))).toBe('forbidden')
    })

    it('of a region for which we hold no credentials is refused', async () => {
      expect(await refusal(admitAppToken(database.db, { apps: [] }, signed(claimsOf())))).toBe('unauthorized')
    })
  })

  describe('exchanging an app-token again', () => {
    const start = Date.UTC(2026, 10, 23)
    const exp = start + 300 * second

    it('works ten times within a minute and no eleventh time', async () => {
      const token = signed(claimsOf())
      const verdicts: string[] = []
      for (let use = 0; use < 12; use += 1) verdicts.push(await refusal(useAppToken(database.db, token, exp, start + use * second)))
      expect(verdicts).toEqual([...Array<string>(10).fill('passed'), 'unauthorized', 'unauthorized'])
    })

    it('works no later than a minute after the first time', async () => {
      const token = signed(claimsOf())
      expect(await refusal(useAppToken(database.db, token, exp, start))).toBe('passed')
      expect(await refusal(useAppToken(database.db, token, exp, start + 59 * second))).toBe('passed')
      expect(await refusal(useAppToken(database.db, token, exp, start + 60 * second))).toBe('unauthorized')
      expect(await refusal(useAppToken(database.db, token, exp, start + 299 * second))).toBe('unauthorized')
    })

    it('at the same instant is counted exactly', async () => {
      const token = signed(claimsOf())
      const verdicts = await Promise.all(Array.from({ length: 25 }, () => refusal(useAppToken(database.db, token, exp, start))))
      expect(verdicts.filter(verdict => verdict === 'passed')).toHaveLength(10)
    })

    it('is remembered for as long as the token would be accepted', async () => {
      const token = signed(claimsOf())
      await useAppToken(database.db, token, exp, start)
      await useAppToken(database.db, signed(claimsOf()), exp, exp + 5 * second)
      expect(await refusal(useAppToken(database.db, token, exp, exp + 5 * second))).toBe('unauthorized')
    })
  })
})
