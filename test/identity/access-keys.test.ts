import { beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import {
  accessKeyStatus,
  createAccessKey,
  findAccessKey,
  listAccessKeys,
  looksLikeAccessKey,
  revokeAccessKey
} from '../../server/identity/access-keys.ts'
import type { KeyScope } from '../../server/identity/principal.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { testVault } from '../support/vault.ts'

const actor = { kind: 'admin' as const, id: 'https://idp#1', name: 'Ada Admin' }
const day = 24 * 60 * 60_000
const scopes: KeyScope[] = [{ module: 'entries', actions: ['read'], contentTypes: ['blog'] }]

forEachDatabase(open => {
  let database: Database
  let deps: { vault: Vault }
  let installation: Row<'installation'>

  beforeAll(async () => {
    database = await open()
    deps = { vault: await testVault(database.db) }
    installation = await insertInstallation(database.db)
  })

  const input = (changes: object = {}) => ({
    organizationId: installation.organization_id,
    installationId: installation.id,
    name: 'nightly',
    owner: 'Ada Admin <ada@harbour.example>',
    scopes,
    expiresInDays: 30 as number | null,
    actor,
    ...changes
  })
  const create = (changes: object = {}, now?: number) => createAccessKey(database.db, deps, input(changes), now)

  describe('an access key', () => {
    it('is shown once, stored as a hash, and leads to its principal', async () => {
      const { row, key } = await create()
      expect(key).toMatch(/^qsk_[A-Za-z0-9_-]{49}$/)
      expect(looksLikeAccessKey(`authorization: ${key}`)).toBe(true)
      const stored = JSON.stringify([
        await database.db.selectFrom('access_key').selectAll().execute(),
        await database.db.selectFrom('audit_event').selectAll().execute()
      ])
      expect(stored).not.toContain(key.slice(8))
      expect(await findAccessKey(database.db, key)).toEqual({
        kind: 'key',
        keyId: row.id,
        name: 'nightly',
        owner: 'Ada Admin <ada@harbour.example>',
        installationId: installation.id,
        organizationId: installation.organization_id,
        scopes
      })
    })

    it('is written into the audit trail with whoever made it and whoever revoked it', async () => {
      const { row } = await create()
      await revokeAccessKey(database.db, deps, {
        id: row.id,
        organizationIds: [installation.organization_id],
        actor: { ...actor, name: 'Otto' }
      })
      const events = await database.db.selectFrom('audit_event').selectAll().where('object_id', '=', row.id).orderBy('seq').execute()
      expect(events.map(event => [event.action, event.actor_name])).toEqual([
        ['key.create', 'Ada Admin'],
        ['key.revoke', 'Otto']
      ])
    })

    it('made in a transaction that fails was never made', async () => {
      let made = ''
      const failing = database.db.transaction().execute(async trx => {
        made = (await createAccessKey(trx, deps, input())).key
        throw new Error('later step')
      })
      await expect(failing).rejects.toThrow('later step')
      expect(await findAccessKey(database.db, made)).toBeNull()
    })

    it('ends by time, by revoking, with its installation and with its organization', async () => {
      const now = Date.now()
      const { key, row } = await create({ expiresInDays: 1 }, now)
      expect(await findAccessKey(database.db, key, now + day - 1)).not.toBeNull()
      expect(await findAccessKey(database.db, key, now + day)).toBeNull()
      expect(accessKeyStatus(row, now + day)).toBe('expired')

      const { key: revoked, row: revokedRow } = await create({ expiresInDays: null })
      const revoke = () => revokeAccessKey(database.db, deps, { id: revokedRow.id, organizationIds: [installation.organization_id], actor })
      const first = await revoke()
      expect(accessKeyStatus(first)).toBe('revoked')
      expect((await revoke()).revoked_at).toBe(first.revoked_at)
      expect(await findAccessKey(database.db, revoked)).toBeNull()

      const other = await insertInstallation(database.db)
      const { key: ended } = await create({ organizationId: other.organization_id, installationId: other.id })
      expect(await findAccessKey(database.db, ended)).not.toBeNull()
      await database.db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', other.organization_id).execute()
      expect(await findAccessKey(database.db, ended)).toBeNull()
      await database.db.updateTable('organization').set({ status: 'claimed' }).where('id', '=', other.organization_id).execute()
      await database.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', other.id).execute()
      expect(await findAccessKey(database.db, ended)).toBeNull()
    })

    it('remembers when it was last used, to the minute', async () => {
      const { key, row } = await create()
      const used = async () =>
        (await database.db.selectFrom('access_key').select('last_used_at').where('id', '=', row.id).executeTakeFirstOrThrow()).last_used_at
      const now = Date.now()
      await findAccessKey(database.db, key, now)
      await findAccessKey(database.db, key, now + 30_000)
      expect(await used()).toBe(now)
      await findAccessKey(database.db, key, now + 60_000)
      expect(await used()).toBe(now + 60_000)
    })

    it.each<[string, (key: string) => string]>([
      ['nothing', () => ''],
      ['another scheme', key => `Bearer ${key}`],
      ['one character changed', key => `${key.slice(0, 10)}${key[10] === 'A' ? 'B' : 'A'}${key.slice(11)}`],
      ['the checksum changed', key => `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`],
      ['a key cut short', key => key.slice(0, -1)],
      ['a key with more behind it', key => `${key}A`],
      ['a line break behind it', key => `${key}\n`],
      ['a made-up key with a good checksum', () => 'qsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
      ['an authtoken', () => 'blt0123456789abcdef'],
      ['a management token', () => 'cs0123456789abcdef0123456789abcdef'],
      ['its own hash', key => key.toUpperCase()]
    ])('is not found by %s', async (_title, change) => {
      const { key } = await create()
      expect(await findAccessKey(database.db, change(key))).toBeNull()
    })

    it('with a wrong checksum is told apart without a look into the database', async () => {
      const { key } = await create()
      const closed = await open()
      await closed.close()
      expect(await findAccessKey(closed.db, `${key.slice(0, -6)}AAAAAA`)).toBeNull()
      await expect(findAccessKey(closed.db, key)).rejects.toThrow()
    })

    it.each<[string, object, string]>([
      ['no scope', { scopes: [] }, 'invalid'],
      ['a scope without action', { scopes: [{ module: 'entries', actions: [] }] }, 'invalid'],
      ['an unknown module', { scopes: [{ module: 'webhooks', actions: ['read'] }] }, 'invalid'],
      ['a module of Object.prototype', { scopes: [{ module: 'constructor', actions: ['read'] }] }, 'invalid'],
      ['an unknown action', { scopes: [{ module: 'entries', actions: ['admin'] }] }, 'invalid'],
      ['publishing of content types', { scopes: [{ module: 'content_types', actions: ['publish'] }] }, 'invalid'],
      ['an empty list of content types', { scopes: [{ module: 'entries', actions: ['read'], contentTypes: [] }] }, 'invalid'],
      ['a wildcard', { scopes: [{ module: 'entries', actions: ['read'], contentTypes: ['*'] }] }, 'invalid'],
      ['content types of assets', { scopes: [{ module: 'assets', actions: ['read'], contentTypes: ['blog'] }] }, 'invalid'],
      ['an unknown installation', { installationId: 'ins_unknown' }, 'not_found'],
      ['an installation of another tenant', { organizationId: 'org_other' }, 'not_found']
    ])('cannot be made with %s', async (_title, changes, code) => {
      const before = await database.db.selectFrom('access_key').selectAll().execute()
      await expect(create(changes)).rejects.toMatchObject({ code })
      expect(await database.db.selectFrom('access_key').selectAll().execute()).toEqual(before)
    })

    it('of another tenant can be neither listed nor revoked, as if there were none', async () => {
      const stranger = await insertInstallation(database.db)
      const { key, row } = await create()
      const theirs = [stranger.organization_id]
      expect(await listAccessKeys(database.db, { organizationIds: theirs, limit: 50 })).toEqual([])
      expect(await listAccessKeys(database.db, { organizationIds: [], limit: 50 })).toEqual([])
      await expect(revokeAccessKey(database.db, deps, { id: row.id, organizationIds: theirs, actor })).rejects.toMatchObject({
        code: 'not_found'
      })
      await expect(revokeAccessKey(database.db, deps, { id: row.id, organizationIds: [], actor })).rejects.toMatchObject({
        code: 'not_found'
      })
      const elsewhere = { id: row.id, organizationIds: [installation.organization_id], installationId: stranger.id, actor }
      await expect(revokeAccessKey(database.db, deps, elsewhere)).rejects.toMatchObject({ code: 'not_found' })
      expect(await findAccessKey(database.db, key)).not.toBeNull()
    })

    it('is listed newest first, a page at a time', async () => {
      const own = await insertInstallation(database.db)
      const made: string[] = []
      for (let count = 0; count < 3; count += 1) {
        made.push((await create({ organizationId: own.organization_id, installationId: own.id })).row.id)
      }
      const of = { organizationIds: [own.organization_id], limit: 2 }
      const first = await listAccessKeys(database.db, of)
      const rest = await listAccessKeys(database.db, { ...of, before: first.at(-1)?.id })
      expect([...first, ...rest].map(row => row.id)).toEqual(made.toReversed())
      expect(first[0]?.stack_name).toBe(own.stack_name)
    })
  })
})
