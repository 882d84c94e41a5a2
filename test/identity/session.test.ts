import { beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import type { AdminPrincipal, ExtensionPrincipal } from '../../server/identity/principal.ts'
import { adminOf, rolesOf } from '../../server/identity/roles.ts'
import { adminLife, createSession, endSession, extensionLife, readSession, renewSession } from '../../server/identity/session.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation, insertOrganization } from '../support/rows.ts'

const minute = 60_000
const start = Date.UTC(2026, 10, 23)

forEachDatabase(open => {
  let database: Database
  let installation: Row<'installation'>
  let editor: ExtensionPrincipal
  let admin: AdminPrincipal

  beforeAll(async () => {
    database = await open()
    installation = await insertInstallation(database.db)
    editor = {
      kind: 'extension',
      installationId: installation.id,
      organizationId: installation.organization_id,
      userUid: 'blt1',
      stackAdmin: true
    }
    admin = {
      kind: 'admin',
      personId: 'https://idp#1',
      name: 'Ada',
      email: 'a@b.example',
      roles: { [installation.organization_id]: 'admin' }
    }
  })

  describe('a session', () => {
    it('is stored without its token', async () => {
      const { token } = await createSession(database.db, { principal: admin, ...adminLife })
      const rows = await database.db.selectFrom('session').selectAll().execute()
      expect(rows.length).toBeGreaterThan(0)
      expect(JSON.stringify(rows)).not.toContain(token)
      expect(await readSession(database.db, token, 'admin')).toMatchObject({ principal: admin, installationId: null })
    })

    it('does not remember that somebody was a stack admin', async () => {
      const { token } = await createSession(database.db, { principal: editor, ...extensionLife })
      const session = await readSession(database.db, token, 'extension')
      expect(session?.principal).toEqual({ ...editor, stackAdmin: false })
      expect(session?.installationId).toBe(installation.id)
    })

    it('ends when nobody used it', async () => {
      const { token } = await createSession(database.db, { principal: editor, ...extensionLife }, start)
      expect(await readSession(database.db, token, 'extension', start + 15 * minute - 1)).not.toBeNull()
      const { token: unused } = await createSession(database.db, { principal: editor, ...extensionLife }, start)
      expect(await readSession(database.db, unused, 'extension', start + 15 * minute)).toBeNull()
    })

    it('is kept by use, but never beyond its absolute end', async () => {
      const { token, absoluteExpiresAt } = await createSession(database.db, { principal: editor, ...extensionLife }, start)
      for (let at = start; at < absoluteExpiresAt; at += 14 * minute) {
        expect(await readSession(database.db, token, 'extension', at)).not.toBeNull()
      }
      expect(await readSession(database.db, token, 'extension', absoluteExpiresAt)).toBeNull()
    })

    it('is renewed within its absolute life, with the same token', async () => {
      const { token, absoluteExpiresAt } = await createSession(database.db, { principal: editor, ...extensionLife }, start)
      const renewed = await renewSession(database.db, token, start + 10 * minute)
      expect(renewed).toMatchObject({ token, idleExpiresAt: start + 25 * minute, absoluteExpiresAt })
      expect(await readSession(database.db, token, 'extension', start + 24 * minute)).not.toBeNull()
      await expect(renewSession(database.db, token, start + 60 * minute)).rejects.toMatchObject({ code: 'unauthorized' })
    })

    it('can be ended, once for all', async () => {
      const { token } = await createSession(database.db, { principal: admin, ...adminLife })
      await endSession(database.db, token)
      expect(await readSession(database.db, token, 'admin')).toBeNull()
    })

    it('of one door opens no other', async () => {
      const { token } = await createSession(database.db, { principal: editor, ...extensionLife })
      expect(await readSession(database.db, token, 'admin')).toBeNull()
    })

    it.each([
      ['nothing', ''],
      ['a made-up token', 'A'.repeat(43)],
      ['a token with a NUL byte', `${'A'.repeat(42)}\u0000`],
      ['a token with a line break', `${'A'.repeat(43)}\n`],
      ['SQL', "' or 1=1 --"],
      ['a very long token', 'A'.repeat(100_000)]
    ])('is not found by %s', async (_title, token) => {
      expect(await readSession(database.db, token, 'admin')).toBeNull()
      await expect(renewSession(database.db, token)).rejects.toMatchObject({ code: 'unauthorized' })
    })

    it('ends with its installation, and rests while its organization is not served', async () => {
      const other = await insertInstallation(database.db)
      const principal = { ...editor, installationId: other.id, organizationId: other.organization_id }
      const { token } = await createSession(database.db, { principal, ...extensionLife })
      await database.db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', other.organization_id).execute()
      expect(await readSession(database.db, token, 'extension')).toBeNull()
      await database.db.updateTable('organization').set({ status: 'claimed' }).where('id', '=', other.organization_id).execute()
      expect(await readSession(database.db, token, 'extension')).not.toBeNull()
      await database.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', other.id).execute()
      expect(await readSession(database.db, token, 'extension')).toBeNull()
    })

    it('loses an organization that the operator no longer lists', async () => {
      const other = await insertOrganization(database.db)
      const { token } = await createSession(database.db, {
        principal: { ...admin, roles: { ...admin.roles, [other.id]: 'admin' } },
        ...adminLife
      })
      await database.db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', other.id).execute()
      expect((await readSession(database.db, token, 'admin'))?.principal.roles).toEqual(admin.roles)
    })

    it('that is over is swept out when another begins', async () => {
      await createSession(database.db, { principal: admin, ...adminLife }, start)
      await createSession(database.db, { principal: admin, ...adminLife }, start + 9 * 60 * minute)
      const old = await database.db
        .selectFrom('session')
        .select('id_hash')
        .where('absolute_expires_at', '<=', start + 9 * 60 * minute)
        .execute()
      expect(old).toEqual([])
    })
  })

  describe('roles', () => {
    it('reach the named organizations in their region, the strongest counting, and never an unclaimed one', async () => {
      const [one, two] = [await insertOrganization(database.db), await insertOrganization(database.db)]
      const elsewhere = await insertOrganization(database.db, { region: 'eu', organization_uid: two.organization_uid })
      const unclaimed = await insertOrganization(database.db, { status: 'unclaimed' })
      const named = [one, two, unclaimed].map(({ region, organization_uid }) => ({ region, organizationUid: organization_uid }))
      const roles = await rolesOf(database.db, [
        { role: 'operator', organizations: named },
        { role: 'admin', organizations: named.slice(0, 1) },
        { role: 'auditor', organizations: named }
      ])
      expect(roles).toEqual({ [one.id]: 'admin', [two.id]: 'operator' })
      expect(roles).not.toHaveProperty(elsewhere.id)
    })

    it('for all organizations mean all that are served here', async () => {
      const person = {
        issuer: 'https://idp',
        subject: '7',
        name: 'Ada',
        email: '',
        grants: [{ role: 'auditor' as const, organizations: '*' as const }]
      }
      const claimed = await database.db.selectFrom('organization').select('id').where('status', '=', 'claimed').execute()
      const principal = await adminOf(database.db, person)
      expect(principal.personId).toBe('https://idp#7')
      expect(Object.keys(principal.roles).toSorted()).toEqual(claimed.map(({ id }) => id).toSorted())
    })
  })
})
