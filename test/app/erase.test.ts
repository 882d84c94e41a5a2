// An organization is erased beside another one, every table filled for both: of the one nothing is left but the order of its trail, of
// the other nothing is touched, wherever it was interrupted.
import { readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import { beforeEach, describe, expect, it } from 'vitest'
import { otherTables, tenantTables } from '../../server/app/erase-rows.ts'
import { type EraseInput, eraseOrganization, previewErasure } from '../../server/app/erase.ts'
import { verifyReceipt } from '../../server/app/receipt.ts'
import { compareAnchors, findingsOf } from '../../server/audit/anchors.ts'
import { type Actor, appendAudit, headOf, verifyAudit } from '../../server/audit/audit.ts'
import { type Database, type Db, openDatabase } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import type { ErasureReceipt } from '../../server/http/contract/console.ts'
import { createSession, readSession } from '../../server/identity/session.ts'
import { claimOrganizations } from '../../server/installations/installation.ts'
import { enqueue, hold } from '../../server/jobs/queue.ts'
import { silentLog } from '../../server/log.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation, insertOrganization } from '../support/rows.ts'
import { testVault } from '../support/vault.ts'

const operator: Actor = { kind: 'system', id: 'cli', name: 'quayside command (olga)' }

interface Tenant {
  organizationId: string
  organizationUid: string
  name: string
  installationIds: string[]
  /** Words that stand in every text of its rows. */
  words: string[]
  sessions: string[]
}

forEachDatabase((open, dialect) => {
  let database: Database
  let db: Db
  let vault: Vault
  let harbour: Tenant
  let shore: Tenant
  let both: string
  beforeEach(async () => {
    database = await open()
    db = database.db
    vault = await testVault(db)
    harbour = await fill('Harbour', 3)
    shore = await fill('Shore', 3)
    both = await person('both@example.com', [harbour, shore])
  })

  const tableNames = async () =>
    (await db.introspection.getTables({ withInternalKyselyTables: false })).map(({ name }) => name).filter(name => name !== 'migration')
  const session = async (principal: Parameters<typeof createSession>[1]['principal']) =>
    (await createSession(db, { principal, idleMs: 60_000, absoluteMs: 60_000 })).token
  const person = async (email: string, tenants: { organizationId: string }[]) =>
    await session({
      kind: 'admin',
      personId: `https://id.example#${email}`,
      name: email,
      email,
      roles: Object.fromEntries(tenants.map(({ organizationId }) => [organizationId, 'admin' as const]))
    })

  /** A row or more in every table that knows tenants, whatever its columns: those to come are filled as well. */
  async function fill(word: string, rowsEach: number): Promise<Tenant> {
    const words = [`${word.toLowerCase()}-secret-word`, `${word.toLowerCase()}@example.com`, `blt${word.toLowerCase()}organization`]
    const organization = await insertOrganization(db, { name: `${word} Publishing`, organization_uid: words[2]! })
    const organizationId = organization.id
    const installationIds: string[] = []
    for (const status of ['active', 'uninstalled'] as const) {
      const { id } = await insertInstallation(db, {
        organization_id: organizationId,
        status,
        stack_name: words[0]!,
        stack_api_key: `blt${word}${status}`
      })
      installationIds.push(id)
    }
    const made: Record<string, string> = {}
    const order = ['connection', 'sync', ...tenantTables.filter(table => !['connection', 'sync', 'installation'].includes(table))]
    const tables = await db.introspection.getTables()
    for (const name of order) {
      const columns = tables.find(table => table.name === name)!.columns
      for (let n = 0; n < rowsEach; n++) {
        const row = Object.fromEntries(
          columns.map(({ name: column, dataType }) => {
            if (column === 'organization_id') return [column, organizationId]
            if (column === 'installation_id') return [column, installationIds[n % 2]]
            if (column === 'id') return [column, newId(name.slice(0, 3))]
            if (column === 'connection_id' || column === 'sync_id') return [column, made[column.slice(0, -3)]]
            if (column === 'key_id') return [column, '']
            if (column === 'status' && !/int/i.test(dataType)) return [column, name === 'run' ? 'running' : 'retired']
            if (/int/i.test(dataType)) return [column, n + 1]
            return [column, `${words.join(' ')} ${n}`]
          })
        )
        made[name] = String(row['id'])
        await db
          .insertInto(name as 'sync')
          .values(row as never)
          // Some tables know a sync once.
          .onConflict(conflict => conflict.doNothing())
          .execute()
      }
    }
    for (let n = 0; n < rowsEach; n++) {
      await appendAudit(db, vault, {
        organizationId,
        installationId: installationIds[0]!,
        actor: { kind: 'admin', id: words[1]!, name: words[1]! },
        action: 'sync.pause',
        object: { kind: 'sync', id: words[0]!, name: words[0]! },
        detail: { words }
      })
    }
    for (const id of installationIds) {
      await hold(db, id, words[0]!)
      await hold(db, `alerts ${id}`, words[0]!)
      await enqueue(db, { kind: 'a', lane: 'live', payload: { words }, group: id })
    }
    await enqueue(db, { kind: 'b', lane: 'live', payload: { grantId: made['grant_flow'] }, key: `b ${words.join(' ')}` })
    await enqueue(db, { kind: 'c', lane: 'live', payload: { syncId: made['sync'], words }, uniqueKey: `c ${words[1]}` })
    await enqueue(db, { kind: 'd', lane: 'live', payload: { alertId: made['alert'] }, group: `alerts ${installationIds[0]}` })
    await db
      .updateTable('job')
      .set({ state: 'done', error: words[0], finished_at: 1 })
      .where('key', '=', `b ${words.join(' ')}`)
      .execute()
    const sessions = [
      await person(
        words[1]!,
        [organization].map(({ id }) => ({ organizationId: id }))
      ),
      await session({ kind: 'extension', installationId: installationIds[0]!, organizationId, userUid: words[0]!, stackAdmin: true })
    ]
    return { organizationId, organizationUid: words[2]!, name: organization.name, installationIds, words, sessions }
  }

  async function token(status: 'active' | 'orphaned' | 'retired' | 'dead', name: string, installationId = harbour.installationIds[0]!) {
    await db
      .updateTable('management_token')
      .set({ status, name, installation_id: installationId })
      .where(
        'id',
        '=',
        db
          .selectFrom('management_token')
          .select(eb => eb.fn.min('id').as('id'))
          .where('organization_id', '=', harbour.organizationId)
          .where('name', 'not like', 'Quayside%')
      )
      .execute()
  }

  const erase = async (change: Partial<EraseInput> = {}, forMs?: number) =>
    await eraseOrganization(
      db,
      { vault, log: silentLog },
      { organizationId: harbour.organizationId, name: harbour.name, leaveTokens: false, actor: operator, ...change },
      forMs
    )
  async function receiptOf(change: Partial<EraseInput> = {}): Promise<ErasureReceipt> {
    const erasing = await erase(change)
    if (!erasing.done) throw new Error('it did not end')
    return erasing.receipt
  }

  /** Every row of every table, as text. */
  async function everything(only?: Tenant): Promise<Record<string, string[]>> {
    const all: Record<string, string[]> = {}
    for (const name of await tableNames()) {
      const { rows } = await sql`select * from ${sql.table(name)}`.execute(db)
      const texts = rows.map(row => JSON.stringify(row))
      all[name] = only
        ? texts.filter(text => [only.organizationId, ...only.installationIds, ...only.words].some(word => text.includes(word)))
        : texts
    }
    return all
  }

  /** Where one of these words still stands; of the organization itself a row stays. */
  async function leftOf(words: string[], aside: string[] = []): Promise<string[]> {
    const tables = Object.entries(await everything()).filter(([name]) => name !== 'organization' && !aside.includes(name))
    return tables.flatMap(([name, rows]) => words.filter(word => rows.some(row => row.includes(word))).map(word => `${word} in ${name}`))
  }

  it('knows what becomes of every table, and of each that carries an organization', async () => {
    const tables = await db.introspection.getTables()
    const known = [...tenantTables, ...Object.keys(otherTables)]
    expect((await tableNames()).filter(name => !known.includes(name))).toEqual([])
    const carrying = tables.filter(({ columns }) => columns.some(({ name }) => name === 'organization_id')).map(({ name }) => name)
    expect(carrying.toSorted()).toEqual([...tenantTables, 'audit_event', 'erasure'].toSorted())
    for (const name of tenantTables) expect((await everything(harbour))[name], name).not.toEqual([])
  })

  it('leaves nothing of it anywhere, and everything of the other', async () => {
    const others = await everything(shore)
    const { organizationId, words, installationIds, organizationUid, sessions } = harbour
    await receiptOf()
    expect(await leftOf([...words, harbour.name, ...installationIds])).toEqual([])
    expect(await leftOf([organizationId], ['audit_event'])).toEqual([])
    const kept = await db.selectFrom('organization').selectAll().where('id', '=', organizationId).executeTakeFirst()
    expect(kept).toMatchObject({ name: organizationUid, status: 'unclaimed' })

    const { session: othersSessions, ...now } = await everything(shore)
    const { session: sessionsBefore, ...before } = others
    expect(now).toEqual(before)
    expect(othersSessions).toHaveLength(sessionsBefore?.length ?? 0)
    for (const token of sessions) {
      expect(await readSession(db, token, 'admin')).toBe(null)
      expect(await readSession(db, token, 'extension')).toBe(null)
    }
    expect((await readSession(db, both, 'admin'))?.principal.roles).toEqual({ [shore.organizationId]: 'admin' })
    for (const token of shore.sessions) {
      expect((await readSession(db, token, 'admin')) ?? (await readSession(db, token, 'extension'))).not.toBe(null)
    }
  })

  it('gives a receipt that counts each row, and that nobody can change', async () => {
    const promised = (await previewErasure(db, harbour.organizationId)).rows
    const before = await headOf(db, harbour.organizationId)
    const receipt = await receiptOf()
    const { job_hold: holds, audit_event: events, ...rows } = receipt.rows
    expect({ ...rows, audit_event: 3 }).toEqual(promised)
    expect([holds, events]).toEqual([4, 4])
    expect(receipt).toMatchObject({
      organization: { id: harbour.organizationId, name: harbour.name, organizationUid: harbour.organizationUid },
      by: operator,
      tokensLeft: [],
      head: { before, after: await headOf(db, harbour.organizationId) }
    })
    expect(await verifyReceipt(db, vault, receipt)).toEqual({ genuine: true, inChain: true })
    const copy = () => JSON.parse(JSON.stringify(receipt)) as ErasureReceipt
    const reordered = { ...copy(), rows: Object.fromEntries(Object.entries(receipt.rows).toReversed()) }
    expect(await verifyReceipt(db, vault, reordered)).toMatchObject({ genuine: true })
    const changes: ((changed: ErasureReceipt) => unknown)[] = [
      changed => (changed.at += 1),
      changed => (changed.startedAt -= 1),
      changed => (changed.organization.name = 'Shore Publishing'),
      changed => (changed.organization.id = shore.organizationId),
      changed => (changed.by.name = 'Somebody'),
      changed => (changed.rows['link'] = 0),
      changed => delete changed.rows['link'],
      changed => changed.tokensLeft.push({ name: 'x', stackName: 'y', status: 'active' }),
      changed => (changed.head.before.seq = 0),
      changed => (changed.head.after.mac = changed.head.before.mac),
      changed => (changed.mark = '')
    ]
    for (const change of changes) {
      const changed = copy()
      change(changed)
      expect((await verifyReceipt(db, vault, changed)).genuine, change.toString()).toBe(false)
    }
    await db.deleteFrom('audit_event').where('organization_id', '=', harbour.organizationId).execute()
    expect(await verifyReceipt(db, vault, receipt)).toEqual({ genuine: true, inChain: false })
  })

  it('keeps a trail that holds, with the anchors noted before; what comes later goes on in it', async () => {
    const { organizationId } = harbour
    const anchor = { organizationId, ...(await headOf(db, organizationId)), at: null }
    await receiptOf()
    expect(await verifyAudit(db, vault, organizationId)).toMatchObject({ ok: true, count: 5 })
    expect((await compareAnchors(db, vault, [anchor])).flatMap(findingsOf)).toEqual([])
    const [last] = await db
      .selectFrom('audit_event')
      .selectAll()
      .where('organization_id', '=', organizationId)
      .orderBy('seq', 'desc')
      .execute()
    expect(last).toMatchObject({ action: 'organization.erase', actor_name: operator.name })
    // Served again, used again, erased again.
    await claimOrganizations(db, [{ region: 'sandbox', organizationUid: harbour.organizationUid, name: harbour.name }])
    const { id } = await insertInstallation(db, { organization_id: organizationId, stack_name: 'Harbour again' })
    expect((await receiptOf()).rows).toMatchObject({ installation: 1, job_hold: 1 })
    expect(await verifyAudit(db, vault, organizationId)).toMatchObject({ ok: true, count: 7 })
    expect((await everything())['job_hold']?.join('')).not.toContain(id)
  })

  it('names a person of the organization on the receipt alone', async () => {
    const actor: Actor = { kind: 'admin', id: 'https://id.example#ada', name: 'Ada <ada@harbour.example>' }
    const receipt = await receiptOf({ actor })
    expect(receipt.by).toEqual(actor)
    const rows = (await everything())['audit_event']?.join('') ?? ''
    expect(rows).not.toMatch(/harbour\.example|id\.example|Ada/)
    expect(rows).toContain(vault.fingerprint(actor.id))
  })

  it.each(['harbour publishing', 'Harbour', '', 'Shore Publishing', 'Harbour Publishing '])('does nothing by the name "%s"', async name => {
    const before = await everything()
    await expect(erase({ name })).rejects.toMatchObject({ code: 'invalid' })
    expect(await everything()).toEqual(before)
  })

  it('refuses while a token is in custody, without a trace, unless it is to be left: then the receipt lists what stands', async () => {
    await token('active', 'Quayside one')
    await token('orphaned', 'Quayside two')
    await token('dead', 'Quayside three')
    const before = await everything()
    await expect(erase()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('"Quayside one"'),
      remedy: expect.stringContaining('Uninstall')
    })
    expect(await everything()).toEqual(before)
    const preview = await previewErasure(db, harbour.organizationId)
    expect(preview.refusal?.message).toContain('Quayside one')
    expect(preview.tokens.map(({ name }) => name)).toEqual(['Quayside one', 'Quayside two'])
    const { tokensLeft } = await receiptOf({ leaveTokens: true })
    expect(tokensLeft).toEqual([
      { name: 'Quayside one', stackName: harbour.words[0], status: 'active' },
      { name: 'Quayside two', stackName: harbour.words[0], status: 'orphaned' }
    ])
  })

  it('does not refuse for a token of an installation that has ended', async () => {
    await token('orphaned', 'Quayside gone', harbour.installationIds[1])
    expect((await receiptOf()).tokensLeft).toMatchObject([{ name: 'Quayside gone' }])
  })

  it.each(['org_nobody', ''])('knows no organization "%s"', async organizationId => {
    await expect(erase({ organizationId })).rejects.toMatchObject({ code: 'not_found' })
    await expect(previewErasure(db, organizationId)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('does not erase twice what is erased', async () => {
    await receiptOf()
    await expect(erase({ name: harbour.organizationUid })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('was erased at')
    })
    expect(await verifyAudit(db, vault, harbour.organizationId)).toMatchObject({ count: 5 })
  })

  it('is taken up again after every step, by a server that came up meanwhile and claims it, with work that came meanwhile', async () => {
    const { session: _sessions, ...others } = await everything(shore)
    const list = [harbour, shore].map(({ organizationUid, name }) => ({ region: 'sandbox', organizationUid, name }))
    let calls = 0
    let receipt: ErasureReceipt | null = null
    while (receipt === null) {
      const erasing = await erase({}, 0)
      expect(await verifyAudit(db, vault, harbour.organizationId)).toMatchObject({ ok: true })
      if (erasing.done) receipt = erasing.receipt
      else {
        calls += 1
        await database.close()
        database = await openDatabase(database.url)
        db = database.db
        vault = await testVault(db)
        await claimOrganizations(db, list)
        if (calls === 10)
          await db
            .insertInto('budget')
            .values({ organization_id: harbour.organizationId, kind: 'bulk', next_at: 0, limit_per_second: 1, blocked_until: 0 })
            .execute()
        if (calls > 100) throw new Error('it does not come to an end')
      }
    }
    expect(calls).toBeGreaterThan(tenantTables.length)
    expect(receipt.rows).toMatchObject({ link: 3, sync: 3, installation: 2, budget: 4 })
    expect(await leftOf(harbour.words)).toEqual([])
    expect(await everything(shore)).toMatchObject(others)
    await database.close()
  })

  it('done twice at the same moment it is done once', async () => {
    const results = await Promise.allSettled([erase(), erase()])
    const done = results.filter(result => result.status === 'fulfilled')
    const refused = results.filter(result => result.status === 'rejected')
    expect(done).toHaveLength(1)
    expect(refused).toMatchObject([{ reason: { code: expect.stringMatching(/conflict|invalid/) } }])
    expect(await verifyAudit(db, vault, harbour.organizationId)).toMatchObject({ ok: true, count: 5 })
  })

  it('waits for a job under way as long as it may take to end, and no longer', async () => {
    const running = { state: 'running', lease_token: 'l', lease_until: Date.now() + 600_000 } as const
    await db.updateTable('job').set(running).where('group_id', '=', harbour.installationIds[0]!).execute()
    const state = async () => await db.selectFrom('job').select('id').where('group_id', '=', harbour.installationIds[0]!).executeTakeFirst()
    await erase({}, 0)
    expect(await state()).toBeDefined()
    // Nothing of it begins any more, and its run is told to end.
    const runs = await db.selectFrom('run').select('status').where('organization_id', '=', harbour.organizationId).distinct().execute()
    expect(runs).toEqual([{ status: 'cancelled' }])
    await db.updateTable('erasure').set({ started_at: 0 }).execute()
    await receiptOf()
    expect(await state()).toBeUndefined()
  })

  describe.runIf(dialect === 'sqlite')('in the file of SQLite (PostgreSQL keeps none that we could read)', () => {
    it('no byte of it stays behind', async () => {
      const path = database.url.slice('sqlite:'.length)
      const bytes = async () =>
        Buffer.concat(await Promise.all([path, `${path}-wal`].map(file => readFile(file).catch(() => Buffer.alloc(0)))))
      expect((await bytes()).includes(harbour.words[0]!)).toBe(true)
      await receiptOf()
      const after = await bytes()
      expect(after.includes(harbour.words[0]!)).toBe(false)
      expect(after.includes(shore.words[0]!)).toBe(true)
    })
  })
})
