// Failed jobs in the console, in a real Chromium: read with every error, tried again, discarded, and what cannot be tried again.
import { expect, it } from 'vitest'
import type { DeadJob } from '../../server/http/contract/jobs.ts'
import { button, consoleDoor, here, kept } from './custody-stage.ts'
import { onStage, patience, seriousFindings } from './on-stage.ts'
import { installed, list, stackDoor, token } from './states.ts'

const minute = 60_000
const record: DeadJob = {
  id: 812,
  kind: 'sync.record',
  installationId: 'ins_1',
  stackName: 'Blog EU',
  about: 'blt5a4b3c2d1e0f9a8b (en-us)',
  error: 'PostgreSQL refused the row: value too long for type character varying(40) (column "teaser").',
  attempts: [
    { attempt: 1, at: Date.now() - 50 * minute, error: 'The database db.harbour.example did not answer within 10 seconds.' },
    { attempt: 2, at: Date.now() - 40 * minute, error: 'PostgreSQL refused the row: value too long.' }
  ],
  overtaken: 1,
  retry: { possible: true, remedy: '' },
  createdAt: Date.now() - 60 * minute,
  diedAt: Date.now() - 40 * minute
}
const ofRun: DeadJob = {
  ...record,
  id: 811,
  kind: 'sync.run',
  about: 'run_019a2b3c4d5e6f708192a3b4',
  overtaken: 0,
  retry: { possible: false, remedy: 'The run has ended as failed: start its sync again.' }
}
const me = (role: string) => ({ name: 'Otto', email: 'o@x', organizations: [{ id: 'org_1', name: 'Harbour Publishing', role }] })

onStage('failed jobs', pages => {
  const { open, asked } = pages
  const shown = async (jobs: DeadJob[], { path = '/console/jobs', width = 1280 } = {}) => {
    pages.stage.door['GET /api/console/jobs'] = list(...jobs)
    return await open(`${pages.stage.app}${path}`, { viewport: { width, height: 800 } })
  }

  it('stand in a list with their kind in words, and open to the error of each attempt', async () => {
    for (const width of [1280, 360]) {
      const page = await shown([record, ofRun], { width })
      const row = page.getByRole('row', { name: /^Gave up Carry one record/ })
      await row.getByText('value too long for type').waitFor()
      await row.getByText('Another process took over 1 time').waitFor()
      await row.getByText('Each attempt').click()
      await row.getByText('did not answer within 10 seconds').waitFor()
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    }
  })

  it('are tried again at one press, and gone from the list', async () => {
    const page = await shown([record])
    pages.stage.door[`POST ${consoleDoor}/jobs/812/retry`] = () => {
      pages.stage.door['GET /api/console/jobs'] = list()
      return { jobs: [{ id: 812, kind: record.kind }], more: false }
    }
    await button(page, 'Retry: Carry one record, job 812').click()
    await page.getByText('Carry one record, job 812: it is tried again from the beginning.').waitFor()
    await page.getByText('Nothing was given up on.').waitFor()
    expect(asked('POST', `${consoleDoor}/jobs/812/retry`)).toHaveLength(1)
  })

  it('of a run say what to do instead, and lead to the run', async () => {
    const page = await shown([ofRun])
    await page.getByText(ofRun.retry.remedy).waitFor()
    expect(await page.getByRole('button', { name: /^Retry/ }).count()).toBe(0)
    expect(await page.getByRole('link', { name: 'the run' }).getAttribute('href')).toBe(`${here}/runs/${ofRun.about}`)
  })

  it('are discarded after a question that says what stays undone, and a refusal is shown in it', async () => {
    const page = await shown([record])
    pages.stage.door[`POST ${consoleDoor}/jobs/812/discard`] = 409
    await button(page, 'Discard: Carry one record, job 812').click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('The record goes out with its next change or with the next run of its sync.').waitFor()
    expect(await seriousFindings(page.mainFrame())).toEqual([])
    await dialog.getByRole('button', { name: 'Discard job' }).click()
    await dialog.getByText('The door says 409.').waitFor()
    pages.stage.door[`POST ${consoleDoor}/jobs/812/discard`] = () => {
      pages.stage.door['GET /api/console/jobs'] = list()
      return { jobs: [{ id: 812, kind: record.kind }], more: false }
    }
    await dialog.getByRole('button', { name: 'Discard job' }).click()
    await page.getByText('Carry one record, job 812: discarded.').waitFor()
    await page.getByText('Nothing was given up on.').waitFor()
  })

  it('give an auditor nothing to press', async () => {
    pages.stage.door['GET /api/console/me'] = me('auditor')
    const page = await shown([record, ofRun])
    await page.getByText(ofRun.retry.remedy).waitFor()
    expect(await page.getByRole('button', { name: /^(Retry|Discard)/ }).count()).toBe(0)
  })

  it('are counted where their installation is shown, and filtered there by a link', async () => {
    Object.assign(pages.stage.door, stackDoor(consoleDoor, installed(token), kept(token), { '/jobs': list(record, ofRun) }))
    const page = await shown([record, ofRun], { path: here })
    await page.getByRole('link', { name: 'Failed jobs (2)' }).click()
    await page.getByRole('heading', { name: 'Failed jobs' }).waitFor()
    await expect.poll(() => asked('GET', '/api/console/jobs').at(-1)?.query.get('installation'), patience).toBe('ins_1')
  })
})
