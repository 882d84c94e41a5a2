// Plans, comparisons and the record log, looked at in a real Chromium.
import { describe, expect, it } from 'vitest'
import type { Drift, Plan, PlanItem, RunRecord } from '../../server/http/contract/plans.ts'
import { onStage, patience, seriousFindings } from './on-stage.ts'
import { type Asked, installation, run } from './stage.ts'
import { list, sync } from './states.ts'

const base = '/api/console/installations/ins_1'
const pageOf = '/console/installations/ins_1'
const plan: Plan = {
  id: 'pln_019a2b3c4d5e6f708192a3b4c5',
  syncId: 'syn_1',
  syncName: 'Articles -> Warehouse',
  kind: 'dry-run',
  status: 'ready',
  reason: '',
  madeBy: 'Otto Operator',
  total: 1204,
  read: 1204,
  creates: 2,
  updates: 1,
  deletes: 1,
  failures: 1,
  skips: 1199,
  runId: null,
  error: null,
  createdAt: Date.now() - 60_000,
  readyAt: Date.now() - 50_000,
  expiresAt: Date.now() + 80_000_000
}
const item = (change: Partial<PlanItem>): PlanItem => ({
  key: 'blt5:en-us',
  locale: 'en-us',
  entryUid: 'blt5',
  step: 'update',
  expectedVersion: 7,
  diff: null,
  state: 'pending',
  why: null,
  ...change
})
const items = [
  item({
    diff: [
      { field: 'title', from: 'Harbour lights', to: 'Harbour lights, again' },
      { field: 'teaser', from: null, to: 'What the sea leaves behind.' },
      ...['body', 'section', 'keywords'].map(field => ({ field, from: 'before', to: 'after' }))
    ]
  }),
  item({ key: 'blt6:en-us', entryUid: 'blt6', step: 'create', diff: [{ field: 'title', to: 'New here' }] }),
  item({ key: 'blt7:de-de', locale: 'de-de', step: 'delete' }),
  item({ key: 'blt8:en-us', step: 'fail', why: 'The field "rating" holds "many", which is no number.' })
]
const drift: Drift = {
  id: 'drf_1',
  syncId: 'syn_1',
  status: 'done',
  cause: 'person Otto Operator',
  repair: true,
  listed: 1206,
  compared: 1204,
  missing: 3,
  stale: 2,
  extra: 5,
  byId: 0,
  repaired: 5,
  planId: plan.id,
  error: null,
  createdAt: Date.now() - 600_000,
  finishedAt: Date.now() - 590_000
}
const record: RunRecord = {
  id: 'rec_1',
  syncId: 'syn_1',
  syncName: 'Articles -> Warehouse',
  runId: 'run_1',
  key: 'blt5:en-us',
  entryUid: 'blt5',
  locale: 'en-us',
  outcome: 'skipped',
  why: 'Planned for version 2; it is version 3 now.',
  cause: 'run run_1',
  at: Date.now() - 30_000
}

onStage('the pages of plans', pages => {
  const { open } = pages
  const door = (answers: Record<string, unknown>): void => {
    pages.stage.door[`GET ${base}`] = installation
    Object.assign(pages.stage.door, answers)
  }

  describe('a plan', () => {
    it('shows what it would do, with what stands there now, and is applied after one question', async () => {
      let now: Plan = plan
      door({
        [`GET ${base}/plans/${plan.id}`]: () => now,
        [`GET ${base}/plans/${plan.id}/items`]: list(...items),
        [`POST ${base}/plans/${plan.id}/apply`]: (call: Asked) => {
          now = { ...plan, status: 'applying', runId: 'run_1' }
          return { ...run, body: call.body }
        }
      })
      const page = await open(`${pages.stage.app}${pageOf}/plans/${plan.id}`)
      await page.getByText('Harbour lights, again').waitFor()
      expect(await page.getByText('1 more field').count()).toBe(1)
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      await page.getByRole('button', { name: 'Apply plan' }).click()
      await page
        .getByRole('dialog')
        .getByText(/5 records: 2 to create, 1 to update, 1 to delete, 1 that would fail/)
        .waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      await page.getByRole('dialog').getByRole('button', { name: 'Apply plan' }).click()
      await page.getByRole('link', { name: 'its run' }).waitFor()
      expect(pages.asked('POST', `${base}/plans/${plan.id}/apply`).map(call => call.body)).toEqual([{}])
    })

    it('that was stopped asks for exactly its deletes', async () => {
      const stopped: Plan = {
        ...plan,
        kind: 'brake',
        reason: '340 of 1204 records would be deleted, which is more than a sync deletes by itself.',
        creates: 0,
        updates: 0,
        failures: 0,
        skips: 0,
        deletes: 340
      }
      door({
        [`GET ${base}/plans/${plan.id}`]: stopped,
        [`GET ${base}/plans/${plan.id}/items`]: list(...items.slice(2, 3)),
        [`POST ${base}/plans/${plan.id}/apply`]: run
      })
      const page = await open(`${pages.stage.app}${pageOf}/plans/${plan.id}`)
      await page.getByRole('button', { name: 'Allow 340 deletes' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByText('This counts for this plan alone, and once.').waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      await dialog.getByRole('button', { name: 'Allow 340 deletes' }).click()
      await expect
        .poll(() => pages.asked('POST', `${base}/plans/${plan.id}/apply`).map(call => call.body), patience)
        .toEqual([{ allowDeletes: 340 }])
    })
  })

  it('a sync shows its plans and what comparing both sides found, and begins either', async () => {
    door({
      [`GET ${base}/syncs/syn_1`]: { ...sync, id: 'syn_1' },
      [`GET ${base}/runs`]: list(run),
      [`GET ${base}/syncs/syn_1/plans`]: list(plan),
      [`GET ${base}/syncs/syn_1/drift`]: list(drift),
      [`GET ${base}/syncs/syn_1/drift/rhythm`]: {
        schedule: { cron: '0 3 * * *', timeZone: 'UTC', repair: false },
        nextAt: Date.now() + 7_200_000
      },
      [`POST ${base}/syncs/syn_1/drift`]: { ...drift, status: 'queued' },
      [`POST ${base}/syncs/syn_1/plan`]: plan,
      [`GET ${base}/plans/${plan.id}`]: plan,
      [`GET ${base}/plans/${plan.id}/items`]: list()
    })
    const page = await open(`${pages.stage.app}${pageOf}/syncs/syn_1`)
    await page.getByRole('link', { name: 'Dry run' }).waitFor()
    await page.getByText(/Compared daily at 03:00 \(UTC\), and only counted/).waitFor()
    await page.getByRole('group', { name: 'Comparisons' }).getByRole('link', { name: '5' }).waitFor()
    expect(await seriousFindings(page.mainFrame())).toEqual([])
    await page.getByRole('button', { name: 'Compare both sides' }).click()
    await page.getByLabel('Write again what is missing or stale').check()
    await page.getByRole('button', { name: 'Compare and repair' }).click()
    await expect.poll(() => pages.asked('POST', `${base}/syncs/syn_1/drift`).map(call => call.body), patience).toEqual([{ repair: true }])
    await page.getByRole('button', { name: 'Dry run' }).click()
    await page.getByRole('button', { name: 'Apply plan' }).waitFor()
  })

  it('a sync is compared by the clock, shown with the next time, changed and switched off', async () => {
    const rhythm = `${base}/syncs/syn_1/drift`
    const nextAt = Date.now() + 7_200_000
    door({
      [`GET ${base}/syncs/syn_1`]: sync,
      [`GET ${base}/runs`]: list(),
      [`GET ${base}/syncs/syn_1/plans`]: list(),
      [`GET ${rhythm}`]: list(drift),
      [`GET ${rhythm}/rhythm`]: { schedule: null, nextAt: null },
      [`PATCH ${rhythm}`]: (call: Asked) => {
        const next = { ...(call.body as object), nextAt }
        pages.stage.door[`GET ${rhythm}/rhythm`] = next
        return next
      }
    })
    for (const width of [1280, 360]) {
      pages.stage.door[`GET ${rhythm}/rhythm`] = { schedule: null, nextAt: null }
      const page = await open(`${pages.stage.app}${pageOf}/syncs/syn_1`, { viewport: { width, height: 800 } })
      await page.getByText('Not compared by the clock.').waitFor()
      await page.getByRole('button', { name: 'Change rhythm' }).click()
      await page.getByLabel('Compare both sides by the clock').selectOption('own')
      expect(await page.getByRole('button', { name: 'Save rhythm' }).isDisabled()).toBe(true)
      await page.getByLabel('Cron expression').fill(' 0 4 * * 1 ')
      await page.getByLabel('Time zone').fill('Europe/Zurich')
      await page.getByLabel('Write again what is missing or stale').check()
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      await page.getByRole('button', { name: 'Save rhythm' }).click()
      await page.getByText(/Compared 0 4 \* \* 1 \(Europe\/Zurich\), and repaired\. Next in (2 hr|1 hr)/).waitFor()
      await page.getByRole('button', { name: 'Change rhythm' }).click()
      await page.getByLabel('Compare both sides by the clock').selectOption('never')
      await page.getByRole('button', { name: 'Save rhythm' }).click()
      await page.getByText('Not compared by the clock.').waitFor()
    }
    expect(pages.asked('PATCH', rhythm).map(call => call.body)).toEqual(
      [0, 1].flatMap(() => [{ schedule: { cron: '0 4 * * 1', timeZone: 'Europe/Zurich', repair: true } }, { schedule: null }])
    )
  })

  it('a run shows its records, searched on the server', async () => {
    door({
      [`GET ${base}/runs/run_1`]: { ...run, status: 'success', finishedAt: Date.now() },
      [`GET ${base}/runs/run_1/records`]: (call: Asked) => (call.query.get('q') === 'blt9' ? list() : list(record))
    })
    const page = await open(`${pages.stage.app}${pageOf}/runs/run_1`)
    await page.getByText(record.why ?? '').waitFor()
    expect(await seriousFindings(page.mainFrame())).toEqual([])
    await page.getByLabel('Outcome').selectOption('failed')
    await page.getByLabel('Entry uid or external id').fill('blt9')
    await page.getByText('No record here begins so.').waitFor()
    const asked = pages.asked('GET', `${base}/runs/run_1/records`).at(-1)
    expect([asked?.query.get('q'), asked?.query.get('outcome')]).toEqual(['blt9', 'failed'])
  })
})
