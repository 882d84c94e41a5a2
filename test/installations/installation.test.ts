import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { verifyAudit } from '../../server/audit/audit.ts'
import type { Database } from '../../server/database/database.ts'
import {
  activateInstallation,
  assertActive,
  claimOrganizations,
  findInstallation,
  getInstallation,
  type Installation,
  installationActive,
  installationUninstalled,
  listInstallations,
  organizationOf,
  rememberPending,
  uninstall
} from '../../server/installations/installation.ts'
import { enqueue, holdOf } from '../../server/jobs/queue.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { testVault } from '../support/vault.ts'

const facts = (
  changes: Partial<{ installationUid: string; organizationUid: string; stackApiKey: string; appUid: string; region: string }> = {}
) => ({
  region: 'eu',
  appUid: 'app1',
  installationUid: 'inst1',
  organizationUid: 'orgA',
  stackApiKey: 'bltStackA',
  via: 'lifecycle' as const,
  ...changes
})
const harbour = { region: 'eu', organizationUid: 'orgA', name: 'Harbour' }

forEachDatabase(open => {
  let database: Database
  let vault: Vault
  let deps: { vault: Vault }
  beforeAll(async () => {
    database = await open()
    vault = await testVault(database.db)
    deps = { vault }
  })
  beforeEach(async () => {
    for (const table of [
      'job',
      'job_hold',
      'alert',
      'management_token',
      'grant_flow',
      'secret',
      'audit_event',
      'installation',
      'organization'
    ] as const) {
      await database.db.deleteFrom(table).execute()
    }
    await claimOrganizations(database.db, [harbour])
  })
  const events = async (kind: string) => await database.db.selectFrom('job').selectAll().where('kind', '=', kind).execute()

  const organizations = async () => (await database.db.selectFrom('organization').select('id').execute()).map(({ id }) => id)

  describe('an installation', () => {
    it('becomes active by a lifecycle event, and enqueues the event once however often it comes', async () => {
      const row = await activateInstallation(database.db, deps, facts())
      const again = await activateInstallation(database.db, deps, { ...facts(), via: 'app-token' })
      expect([row.status, again.id]).toEqual(['active', row.id])
      expect(await events(installationActive)).toHaveLength(1)
      expect(JSON.parse((await events(installationActive))[0]!.payload_json)).toEqual({ installationId: row.id })
      expect(await verifyAudit(database.db, vault, row.organization_id)).toMatchObject({ ok: true, count: 1 })
    })

    it('is recorded and activated once when callback, lifecycle event and app-token come at the same moment', async () => {
      for (let round = 0; round < 10; round += 1) {
        const same = facts({ installationUid: `inst${round}`, stackApiKey: `bltStack${round}` })
        const rows = await Promise.all([
          rememberPending(database.db, { ...same, stackApiKey: null }),
          activateInstallation(database.db, deps, same),
          activateInstallation(database.db, deps, { ...same, via: 'app-token' }),
          rememberPending(database.db, { ...same, stackApiKey: null })
        ])
        expect(new Set(rows.map(({ id }) => id)).size).toBe(1)
        expect([rows[1].status, rows[2].status]).toEqual(['active', 'active'])
      }
      expect(await events(installationActive)).toHaveLength(10)
      const [row] = await listInstallations(database.db, { organizationIds: await organizations(), limit: 1 })
      expect(await verifyAudit(database.db, vault, row!.organization_id)).toMatchObject({ ok: true, count: 10 })
    })

    it.each([
      ['organization', { organizationUid: 'orgElse' }],
      ['stack', { stackApiKey: 'bltElse' }],
      ['app', { appUid: 'appElse' }]
    ])('that somebody told of before with another %s becomes what Contentstack signs', async (_what, guessed) => {
      const parked = await rememberPending(database.db, facts(guessed))
      const active = await activateInstallation(database.db, deps, facts())
      expect(active).toMatchObject({ id: parked.id, status: 'active', stack_api_key: 'bltStackA', app_uid: facts().appUid })
      const [organization] = await database.db.selectFrom('organization').selectAll().where('id', '=', active.organization_id).execute()
      expect(organization).toMatchObject({ organization_uid: 'orgA', status: 'claimed' })
      // Once it is active nothing told or signed moves it elsewhere.
      await expect(activateInstallation(database.db, deps, facts(guessed))).rejects.toMatchObject({ code: 'conflict' })
    })

    it('that an install callback made known waits as pending until somebody proves it', async () => {
      const pending = await rememberPending(database.db, { ...facts(), stackApiKey: null })
      expect([pending.status, pending.stack_api_key]).toEqual(['pending', ''])
      await expect(assertActive(database.db, pending)).rejects.toMatchObject({ code: 'conflict' })
      const active = await activateInstallation(database.db, deps, facts())
      expect([active.id, active.status, active.stack_api_key]).toEqual([pending.id, 'active', 'bltStackA'])
    })

    it.each([
      ['app', { appUid: 'other' }],
      ['organization', { organizationUid: 'orgB' }],
      ['stack', { stackApiKey: 'bltOther' }]
    ])('refuses facts that name another %s, and stays as it was', async (name, changes) => {
      const row = await activateInstallation(database.db, deps, facts())
      await expect(activateInstallation(database.db, deps, facts(changes))).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining(name)
      })
      await expect(uninstall(database.db, deps, facts(changes))).rejects.toMatchObject({ code: 'conflict' })
      expect((await getInstallation(database.db, [row.organization_id], row.id)).status).toBe('active')
    })

    it('of an organization that nobody claimed stays idle until the operator lists it', async () => {
      const row = await activateInstallation(
        database.db,
        deps,
        facts({ organizationUid: 'orgZ', installationUid: 'instZ', stackApiKey: 'bltZ' })
      )
      expect(row.status).toBe('pending')
      expect((await organizationOf(database.db, row)).status).toBe('unclaimed')
      expect(await events(installationActive)).toHaveLength(0)
      await expect(assertActive(database.db, row)).rejects.toMatchObject({ message: expect.stringContaining('does not serve') })
      await claimOrganizations(database.db, [harbour, { region: 'eu', organizationUid: 'orgZ', name: 'Zeta' }])
      expect(
        (await activateInstallation(database.db, deps, facts({ organizationUid: 'orgZ', installationUid: 'instZ', stackApiKey: 'bltZ' })))
          .status
      ).toBe('active')
    })

    it('goes on hold when its organization is no longer listed, and on when it is again', async () => {
      const row = await activateInstallation(database.db, deps, facts())
      await claimOrganizations(database.db, [])
      expect(await holdOf(database.db, row.id)).toMatchObject({ reason: expect.stringContaining('does not serve') })
      await claimOrganizations(database.db, [harbour])
      expect(await holdOf(database.db, row.id)).toBeNull()
    })

    it('is not released by that from a hold with another reason', async () => {
      const row = await activateInstallation(database.db, deps, facts())
      await database.db.insertInto('job_hold').values({ group_id: row.id, reason: 'dead token', held_at: 1 }).execute()
      await claimOrganizations(database.db, [])
      await claimOrganizations(database.db, [harbour])
      expect((await holdOf(database.db, row.id))?.reason).toBe('dead token')
    })
  })

  describe('uninstalling', () => {
    async function withToken(row: Installation): Promise<string> {
      const secretId = await vault.put(
        database.db,
        { organizationId: row.organization_id, installationId: row.id, purpose: 'management_token' },
        'cs1'
      )
      await database.db
        .insertInto('management_token')
        .values({
          id: 'tok_1',
          organization_id: row.organization_id,
          installation_id: row.id,
          name: 'Quayside abc',
          token_uid: 'cs9',
          origin: 'minted',
          status: 'active',
          secret_id: secretId,
          fingerprint: 'f',
          branches_json: '["main"]',
          expires_at: null,
          verification_json: '[]',
          error: null,
          verified_at: 1,
          created_at: 1,
          updated_at: 1
        })
        .execute()
      return secretId
    }

    it('stops the work, erases every secret and lists the token that stays behind', async () => {
      const row = await activateInstallation(database.db, deps, facts())
      const secretId = await withToken(row)
      await enqueue(database.db, { kind: 'sync.record', lane: 'live', payload: {}, group: row.id })
      const ended = await uninstall(database.db, deps, facts())
      expect(ended?.status).toBe('uninstalled')
      await expect(vault.reveal(database.db, secretId, 'management_token')).rejects.toMatchObject({ code: 'not_found' })
      expect(await database.db.selectFrom('management_token').select(['status', 'secret_id', 'name']).execute()).toEqual([
        { status: 'orphaned', secret_id: null, name: 'Quayside abc' }
      ])
      expect((await events('sync.record'))[0]?.state).toBe('cancelled')
      expect(await holdOf(database.db, row.id)).not.toBeNull()
      expect(await events(installationUninstalled)).toHaveLength(1)
    })

    it('twice is harmless, of something unknown is nothing', async () => {
      await activateInstallation(database.db, deps, facts())
      await uninstall(database.db, deps, facts())
      expect((await uninstall(database.db, deps, facts()))?.status).toBe('uninstalled')
      expect(await events(installationUninstalled)).toHaveLength(1)
      expect(await uninstall(database.db, deps, facts({ installationUid: 'never' }))).toBeNull()
    })

    it('is final: a late install event does not revive it', async () => {
      await activateInstallation(database.db, deps, facts())
      await uninstall(database.db, deps, facts())
      expect((await activateInstallation(database.db, deps, facts())).status).toBe('uninstalled')
    })

    it('happens to the former installation when the same stack is installed anew', async () => {
      const former = await activateInstallation(database.db, deps, facts())
      const next = await activateInstallation(database.db, deps, facts({ installationUid: 'inst2' }))
      expect(next.status).toBe('active')
      expect((await findInstallation(database.db, { region: 'eu', installationUid: 'inst1' }))?.status).toBe('uninstalled')
      expect(next.id).not.toBe(former.id)
    })
  })

  describe('another tenant', () => {
    it("gets nothing of ours: unknown and others' ids answer alike, lists stay apart", async () => {
      await claimOrganizations(database.db, [harbour, { region: 'eu', organizationUid: 'orgB', name: 'Shore' }])
      const ours = await activateInstallation(database.db, deps, facts())
      const theirs = await activateInstallation(
        database.db,
        deps,
        facts({ organizationUid: 'orgB', installationUid: 'inst2', stackApiKey: 'bltB' })
      )
      const asked = async (organizationIds: string[], id: string) =>
        await getInstallation(database.db, organizationIds, id).catch((error: Error) => error.message)
      expect(await asked([theirs.organization_id], ours.id)).toBe(`There is no installation ${ours.id}`)
      expect(await asked([theirs.organization_id], 'ins_unknown')).toBe('There is no installation ins_unknown')
      expect(await asked([], ours.id)).toBe(`There is no installation ${ours.id}`)
      expect((await listInstallations(database.db, { organizationIds: [ours.organization_id], limit: 10 })).map(({ id }) => id)).toEqual([
        ours.id
      ])
      expect(await listInstallations(database.db, { organizationIds: [], limit: 10 })).toEqual([])
    })

    it('of the same uid in another region is another organization', async () => {
      await claimOrganizations(database.db, [harbour, { region: 'na', organizationUid: 'orgA', name: 'Harbour NA' }])
      const eu = await activateInstallation(database.db, deps, facts())
      const na = await activateInstallation(database.db, deps, facts({ region: 'na' }))
      expect(na.organization_id).not.toBe(eu.organization_id)
    })
  })
})
