import pg from 'pg'
import { afterEach, expect, it } from 'vitest'
import type { Row } from '../../server/database/schema.ts'
import { installationById } from '../../server/installations/installation.ts'
import { createConnection, getConnection, renewSecrets } from '../../server/sync/connections.ts'
import { startRun, startRunBy } from '../../server/sync/runs.ts'
import { pauseSync, resumeSync } from '../../server/sync/sync.ts'
import { connectionView } from '../../server/sync/views.ts'
import { forEachDatabase, freshPostgres } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { endOf } from './predecessor.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  let connection: Row<'connection'>
  let password: string
  let destination: { url: string; cleanup: () => Promise<void> }
  afterEach(async () => {
    await stage.cleanUp()
    await destination.cleanup()
  })

  /** A connection to a PostgreSQL of its own, with a password. */
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
    destination = await freshPostgres('template0')
    const { hostname, port, pathname, username, password: secret } = new URL(destination.url)
    password = secret
    connection = await createConnection(stage.db, stage.deps, {
      installation: stage.installation,
      actor: person,
      connection: {
        connector: 'sql',
        name: 'Warehouse',
        settings: { system: 'postgres', host: hostname, port: Number(port), database: pathname.slice(1), user: username },
        secrets: { password }
      }
    })
  }
  const renew = (secrets: Record<string, string>, installation = stage.installation) =>
    renewSecrets(stage.db, stage.deps, { installation, actor: person, id: connection.id, secrets })
  const view = async () => (await connectionView(stage.db, stage.deps.vault, await kept())).secrets
  const kept = () => getConnection(stage.db, { installationId: stage.installation.id, id: connection.id })
  const secretId = ({ secrets_json: json }: Row<'connection'>) => (JSON.parse(json) as Record<string, string>)['password'] ?? ''
  const erase = () => stage.deps.vault.erase(stage.db, secretId(connection))
  const rowsOf = async (table: string): Promise<number> => {
    const client = new pg.Client(destination.url)
    await client.connect()
    const { rows } = await client.query<{ n: string }>(`select count(*) as n from "${table}"`)
    await client.end()
    return Number(rows[0]?.n)
  }

  it.each(['before', 'while'])('is not kept for an installation that ended %s it was checked', async when => {
    await begin()
    const before = await stage.db.selectFrom('secret').select('id').execute()
    const end = () => stage.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', stage.installation.id).execute()
    if (when === 'before') await end()
    // The check asks where to connect to: by then the installation has passed the first look.
    const resolve = async (name: string) => {
      await end()
      return await stage.deps.guard.resolve(name)
    }
    const deps = { ...stage.deps, guard: { ...stage.deps.guard, resolve } }
    const settings = JSON.parse(connection.settings_json) as Record<string, unknown>
    const made = createConnection(stage.db, deps, {
      installation: await installationById(stage.db, stage.installation.id),
      actor: person,
      connection: { connector: 'sql', name: 'Late', settings, secrets: { password } }
    })
    await expect(made).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('no longer installed') })
    expect(await stage.db.selectFrom('secret').select('id').execute()).toEqual(before)
  })

  it('takes the secrets anew once they open the system, and erases the old ones', async () => {
    await begin()
    await stage.db.updateTable('connection').set({ error: 'it was refused', checked_at: 1 }).where('id', '=', connection.id).execute()
    const renewed = await renew({ password })
    expect(renewed).toMatchObject({ id: connection.id, error: null })
    expect(renewed.checked_at).toBeGreaterThan(1)
    expect(await kept()).toEqual(renewed)
    expect(secretId(renewed)).not.toBe(secretId(connection))
    expect(await stage.deps.vault.reveal(stage.db, secretId(renewed), 'connection')).toBe(password)
    await expect(stage.deps.vault.reveal(stage.db, secretId(connection), 'connection')).rejects.toMatchObject({ code: 'not_found' })
    const events = await stage.db.selectFrom('audit_event').selectAll().where('action', '=', 'connection.secrets').execute()
    expect(events).toMatchObject([{ object_id: connection.id, actor_name: person.name, detail_json: '{"secrets":["password"]}' }])
  })

  const refusals: [what: string, secrets: Record<string, string>, code: string, words: RegExp][] = [
    ['a password that the system refuses', { password: 'mistyped' }, 'unauthorized', /refuses user/],
    ['no secret where there was one', {}, 'invalid', /needs all its secrets: password/],
    ['an empty one', { password: '' }, 'invalid', /needs all its secrets: password/],
    ['one that the connector does not know', { password: 'x', certificate: 'y' }, 'invalid', /no secret named "certificate"/]
  ]
  it.each(refusals)('refuses %s, and the old ones stay', async (_what, secrets, code, words) => {
    await begin()
    const before = await stage.db.selectFrom('secret').select('id').orderBy('id').execute()
    await expect(renew(secrets)).rejects.toMatchObject({ code, message: expect.stringMatching(words) })
    expect(await kept()).toEqual(connection)
    expect(await view()).toBe('kept')
    expect(await stage.db.selectFrom('secret').select('id').orderBy('id').execute()).toEqual(before)
  })

  it("refuses another installation's connection as unknown, and an installation that has ended", async () => {
    await begin()
    const other = await insertInstallation(stage.db, { organization_id: stage.installation.organization_id })
    await expect(renew({ password }, other)).rejects.toMatchObject({ code: 'not_found' })
    await endOf(stage.db, stage.credentials, stage.installation)
    // The view of whoever asks is older than the end.
    await expect(renew({ password })).rejects.toMatchObject({ code: 'conflict' })
    expect(await view()).toBe('erased')
    expect(
      await stage.db.selectFrom('secret').select('id').where('purpose', '=', 'connection').where('erased_at', 'is', null).execute()
    ).toEqual([])
  })

  it('two who give them at once leave one that is kept', async () => {
    await begin()
    await Promise.all([renew({ password }), renew({ password })])
    const standing = await stage.db
      .selectFrom('secret')
      .select('id')
      .where('purpose', '=', 'connection')
      .where('erased_at', 'is', null)
      .execute()
    expect(standing).toEqual([{ id: secretId(await kept()) }])
  })

  const lost = {
    code: 'conflict',
    message: expect.stringContaining('"Warehouse" were erased') as string,
    remedy: expect.stringContaining('Give its secrets again') as string
  }

  it('a sync whose connection lost them says so when it is resumed or run, and goes on once they are given', async () => {
    await begin()
    const [sync] = await stage.create({ connectionId: connection.id })
    await stage.drain()
    const count = await rowsOf('article')
    const of = { installationId: stage.installation.id, id: sync!.id, actor: person }
    await pauseSync(stage.db, stage.deps, of)
    await erase()
    expect(await view()).toBe('erased')
    await expect(resumeSync(stage.db, stage.deps, of)).rejects.toMatchObject(lost)
    await expect(startRunBy(stage.db, stage.deps, { sync: sync!, actor: person })).rejects.toMatchObject(lost)
    await renew({ password })
    expect((await resumeSync(stage.db, stage.deps, of)).state).toBe('active')
    await stage.drain()
    expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', written: 0 })
    expect(await rowsOf('article')).toBe(count)
  })

  it('a run of the clock without them fails at once, with the remedy, instead of trying without a password', async () => {
    await begin()
    const [sync] = await stage.create({ connectionId: connection.id })
    await stage.drain()
    await erase()
    await stage.db.transaction().execute(trx => startRun(trx, { sync: sync!, cause: 'schedule', causedBy: 'schedule' }))
    await stage.drain()
    expect(await stage.lastRun(sync!)).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/were erased .* Give its secrets again/)
    })
    await expect(stage.create({ connectionId: connection.id, target: 'second_' })).rejects.toMatchObject(lost)
  })
})
