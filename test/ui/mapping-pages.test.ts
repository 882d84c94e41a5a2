// The mapping on the pages, in a real Chromium: rows are written, previewed on what the door answers, refused by the row, and sent.
import { describe, expect, it } from 'vitest'
import type { ContentType, Preview, Sync } from '../../server/http/contract/stack.ts'
import { consoleDoor, kept } from './custody-stage.ts'
import { onStage, seriousFindings } from './on-stage.ts'
import { installation } from './stage.ts'
import { connection, list, stackDoor, sync, token } from './states.ts'

const field = (uid: string, more: Partial<ContentType['fields'][number]> = {}): ContentType['fields'][number] => ({
  uid,
  title: uid[0]!.toUpperCase() + uid.slice(1),
  type: 'text',
  unique: false,
  mandatory: false,
  localizable: true,
  ...more
})
const country: ContentType = {
  uid: 'country',
  title: 'Country',
  fields: [
    field('title', { mandatory: true, unique: true }),
    field('code', { unique: true, localizable: false }),
    field('area', { type: 'number' })
  ]
}
const mapped: Sync = {
  ...sync,
  contentType: 'country',
  state: 'paused',
  pausedReason: 'The content type country has changed and the mapping no longer fits. The field "area" is gone. Nothing was written.',
  mapping: [
    { from: 'title', to: 'title', required: true },
    { expression: '$uppercase(code)', to: 'shout', type: 'text' },
    { from: 'area', to: 'area', default: 0 }
  ]
}
const preview: Preview = {
  records: [
    {
      key: 'blt1:en-us',
      would: 'update',
      rows: [
        { to: 'title', value: 'Peru', error: null },
        { to: 'shout', value: 'PE', error: null },
        { to: 'area', value: null, error: null }
      ]
    },
    {
      key: 'blt2:en-us',
      would: 'refuse',
      rows: [
        { to: 'title', value: 'Chile', error: null },
        { to: 'shout', value: null, error: 'The expression for shout failed: no code' },
        { to: 'area', value: '756102', error: null }
      ]
    }
  ]
}

onStage('the mapping of a sync', pages => {
  const { open, asked } = pages
  const at = (path: string): string => `/api/console/installations/ins_1/${path}`
  const door = (answers: Record<string, unknown>): void => {
    Object.assign(pages.stage.door, stackDoor(consoleDoor, installation, kept(token)), {
      [`GET ${at('connections')}`]: list(connection),
      [`GET ${at('content-types')}`]: list(country),
      [`GET ${at('syncs')}`]: list(mapped),
      [`GET ${at('syncs/syn_1')}`]: mapped,
      [`GET ${at('runs')}`]: list(),
      [`GET ${at('syncs/syn_1/plans')}`]: list(),
      [`GET ${at('syncs/syn_1/drift')}`]: list(),
      [`GET ${at('syncs/syn_1/drift/rhythm')}`]: { schedule: null, nextAt: null },
      [`POST ${at('syncs/preview')}`]: preview,
      ...answers
    })
  }

  describe('that stands', () => {
    it.each([1280, 360])('shows its expression where its source would stand, %i px wide', async width => {
      door({})
      const page = await open(`${pages.stage.app}/console/installations/ins_1/syncs/syn_1`, { viewport: { width, height: 900 } })
      await page.getByText('Mapping (3)').click()
      await page.getByText('$uppercase(code)').waitFor()
      await page.getByText('the record stands aside').waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })

    it('is changed while it is paused: previewed first, refused by its row, then saved', async () => {
      let refused = false
      door({
        [`PATCH ${at('syncs/syn_1/mapping')}`]: () => {
          if (refused) return mapped
          refused = true
          return 400
        }
      })
      const page = await open(`${pages.stage.app}/console/installations/ins_1/syncs/syn_1`)
      await page.getByText('Mapping (3)').click()
      await page.getByRole('button', { name: 'Change mapping' }).click()
      const second = page.getByRole('group', { name: 'Row 2' })
      await second.getByLabel('Expression').fill('$lowercase(code)')
      await page.getByRole('button', { name: 'Remove row 3' }).click()
      await page.getByRole('button', { name: 'Add row' }).click()
      const third = page.getByRole('group', { name: 'Row 3' })
      await third.getByLabel('From').selectOption('area')
      await third.getByLabel('If empty').fill('7')
      await page.getByRole('button', { name: 'Preview' }).click()
      await page.getByText('The expression for shout failed: no code').waitFor()
      await page.getByText('Refused').waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      const mapping = [
        { from: 'title', to: 'title', required: true },
        { expression: '$lowercase(code)', to: 'shout', type: 'text' },
        { from: 'area', to: 'area', default: '7' }
      ]
      expect(asked('POST', at('syncs/preview'))[0]?.body).toEqual({
        direction: 'outbound',
        connectionId: 'con_1',
        contentType: 'country',
        target: 'article',
        branch: 'main',
        mapping,
        syncId: 'syn_1'
      })
      await page.getByRole('button', { name: 'Save mapping' }).click()
      await page.getByRole('alert').waitFor()
      await page.getByRole('button', { name: 'Save mapping' }).click()
      await page.getByText('Mapping (3)').waitFor()
      expect(asked('PATCH', at('syncs/syn_1/mapping')).map(call => call.body)).toEqual([{ mapping }, { mapping }])
    })
  })

  it('of a new inbound sync begins by names, takes an expression, and is sent as it is shown', async () => {
    door({
      [`GET ${at('connections/con_1/fields')}`]: list({ name: 'CODE', type: 'text', key: true }, { name: 'label', type: 'text' }),
      [`POST ${at('syncs')}`]: [mapped]
    })
    const page = await open(`${pages.stage.app}/console/installations/ins_1`)
    await page.getByRole('button', { name: 'Create sync' }).click()
    await page.getByLabel('Direction').selectOption('inbound')
    await page.getByLabel('Table to read').fill('land')
    await page.getByLabel('Content type').selectOption('country')
    await page.getByText('Nothing is carried to a mandatory field.').waitFor()
    await page.getByRole('button', { name: 'Add expression' }).click()
    const second = page.getByRole('group', { name: 'Row 2' })
    await second.getByLabel('Expression').fill('label & " (" & CODE & ")"')
    await second.getByLabel('To').selectOption('title')
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.getByText('blt2:en-us').waitFor()
    expect(await seriousFindings(page.mainFrame())).toEqual([])
    await page.getByRole('button', { name: 'Create sync' }).click()
    await expect.poll(() => asked('POST', at('syncs')).length).toBe(1)
    expect(asked('POST', at('syncs'))[0]?.body).toMatchObject({
      mapping: [
        { from: 'CODE', to: 'code' },
        { expression: 'label & " (" & CODE & ")"', to: 'title' }
      ]
    })
  })
})
