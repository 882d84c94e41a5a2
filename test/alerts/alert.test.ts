// The rows of alerts that pages show: in which order, and for how long.
import { beforeEach, expect, it } from 'vitest'
import { listAlerts, pruneAlerts, raiseAlert } from '../../server/alerts/alert.ts'
import type { Db } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'

const days = 24 * 60 * 60_000

forEachDatabase(open => {
  let db: Db
  let installation: Row<'installation'>
  beforeEach(async () => {
    ;({ db } = await open())
    installation = await insertInstallation(db)
  })
  const raise = async () =>
    await raiseAlert(db, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      kind: 'token.dead',
      title: 'It is dead',
      text: 'Nothing is lost.',
      links: []
    })

  it('pages alerts, newest first, and forgets those of a year ago', async () => {
    const ids = [await raise(), await raise(), await raise()]
    const page = async (before?: string) =>
      (await listAlerts(db, { installationId: installation.id, before, limit: 2 })).map(({ id }) => id)
    expect(await page()).toEqual([ids[2], ids[1]])
    expect(await page(ids[1])).toEqual([ids[0]])
    await db
      .updateTable('alert')
      .set({ created_at: Date.now() - 366 * days })
      .where('id', '=', ids[0] ?? '')
      .execute()
    expect(await pruneAlerts(db, Date.now() - 365 * days)).toBe(1)
    expect(await page(ids[1])).toEqual([])
  })
})
