// What stands around a token, in a real Chromium: who is told, what a reinstall finds, what editors see of it, and the console's view
// of all installations at once.
import type { Frame } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { button, custodyStage, frameDoor, here, kept, primaries } from './custody-stage.ts'
import { onStage, patience, seriousFindings, status } from './on-stage.ts'
import { type Asked, inSync, session } from './stage.ts'
import {
  channel,
  connection,
  day,
  dead,
  expiring,
  exposed,
  hook,
  installed,
  list,
  mail,
  orphaned,
  parting,
  predecessor,
  preview,
  receipt,
  retired,
  stackDoor,
  token,
  webhook
} from './states.ts'

onStage('around a token', pages => {
  const { open, inFrame, asked } = pages
  const { config, inConsole } = custodyStage(pages)

  describe('webhooks', () => {
    it('say for each branch whether changes are heard, what never arrived, and whether a silence has been caught up', async () => {
      const hour = 3_600_000
      const silent = { ...webhook, branch: 'spring', disabledAt: Date.now() - 3 * hour, enabledAt: Date.now() - 2 * hour, gap: 'filling' }
      const missing = { ...webhook, branch: 'autumn', missed: 3, missedAt: Date.now() - hour, lastDeliveryAt: null }
      const dead = { ...webhook, branch: 'winter', disabledAt: Date.now() - hour }
      const page = await inConsole(installed(token), kept(token), { '/webhooks': list(webhook, silent, missing, dead) })
      const table = page.getByRole('group', { name: 'Webhooks', exact: true })
      await table.getByRole('row', { name: /^Enabled main .* None None$/ }).waitFor()
      await table.getByRole('row', { name: /^Catching up spring .*the gap is being filled$/ }).waitFor()
      await table.getByRole('row', { name: /^Enabled autumn None yet 3 deliveries/ }).waitFor()
      await table.getByRole('row', { name: /^Disabled winter .*not over yet$/ }).waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })
  })

  describe('alerts', () => {
    it('says why somebody should be told, and sends what was typed', async () => {
      const { app } = await config(token, kept(token), { '/recipients': list(), '/alerts': list() })
      pages.stage.door[`POST ${frameDoor}/recipients`] = { recipient: mail, signingSecret: null }
      await app.getByText('Nobody is told when the token is refused or nears its end.').waitFor()
      await app.getByText('Nobody is told: no recipient stands under Alerts.').waitFor()
      await button(app, 'Add recipient').click()
      await app.getByLabel('E-mail address').fill(' cms-team@harbour.example ')
      expect(await seriousFindings(app)).toEqual([])
      await button(app, 'Add recipient').click()
      await expect
        .poll(() => asked('POST', `${frameDoor}/recipients`)[0]?.body, patience)
        .toEqual({
          kind: 'email',
          address: 'cms-team@harbour.example'
        })
      await expect.poll(() => app.getByLabel('E-mail address').count(), patience).toBe(0)
    })

    it('shows the signing secret of a webhook once', async () => {
      const { app } = await config(token, kept(token))
      pages.stage.door[`POST ${frameDoor}/recipients`] = { recipient: hook, signingSecret: 'whsec_the_whole_secret' }
      await button(app, 'Add recipient').click()
      await app.getByRole('radio', { name: /^Signed webhook/ }).check()
      await app.getByLabel('Address, https://…').fill('https://ops.harbour.example/hook?key=x')
      await button(app, 'Add recipient').click()
      await app.getByText('whsec_the_whole_secret').waitFor()
      expect(await seriousFindings(app)).toEqual([])
      await button(app, 'I have copied it').click()
      expect(await app.content()).not.toContain('whsec_the_whole_secret')
      expect(await app.content()).not.toContain('key=x')
    })

    it('tells the outcome of a test beside the recipient, and asks before the last one goes', async () => {
      const { app } = await config(token, kept(token), { '/recipients': list(channel) })
      pages.stage.door[`POST ${frameDoor}/recipients/rcp_2/test`] = channel
      pages.stage.door[`DELETE ${frameDoor}/recipients/rcp_2`] = channel
      await app.getByText(String(channel.error)).waitFor()
      await button(app, `Send a test: ${channel.address}`).click()
      await app.getByText('It could not be delivered.').waitFor()
      await button(app, `Remove: ${channel.address}`).click()
      await app.getByText('It is the last one: nobody will be told').waitFor()
      pages.stage.door[`GET ${frameDoor}/recipients`] = list()
      await button(app, 'Remove recipient').click()
      await app.getByText('Nobody is told when the token is refused or nears its end.').waitFor()
      expect(asked('DELETE', `${frameDoor}/recipients/rcp_2`)).toHaveLength(1)
    })
  })

  describe('after a reinstall', () => {
    it('offers to take over what the former installation left, and says how it comes', async () => {
      const { app } = await config(token, kept(token), { '/predecessors': list(predecessor), '/connections': list(), '/syncs': list() })
      pages.stage.door[`POST ${frameDoor}/adopt`] = { connections: 1, syncs: 3, links: 1204 }
      await app.getByText(/^Before: an installation of this stack until .*, with 3 syncs and 1,204 links\.$/).waitFor()
      expect(await primaries(app)).toEqual(['Take them over'])
      await button(app, 'Take them over').click()
      const dialog = app.getByRole('dialog')
      await dialog.getByText('3 syncs come paused').waitFor()
      pages.stage.door[`GET ${frameDoor}/predecessors`] = list()
      await button(dialog.page().frames()[1] as Frame, 'Take them over')
        .last()
        .click()
      await app.getByText('3 syncs and 1,204 links are taken over.').waitFor()
      expect(asked('POST', `${frameDoor}/adopt`).map(call => call.body)).toEqual([{ from: 'ins_0' }])
    })

    it('asks for the secrets that a connection lost, and forgets them', async () => {
      const { app } = await config(token, kept(token), { '/connections': list({ ...connection, secrets: 'erased' }) })
      pages.stage.door[`PATCH ${frameDoor}/connections/con_1`] = 400
      await app.getByText('Secrets needed').waitFor()
      await button(app, 'Enter secrets: Website database').click()
      await app.getByLabel('Password').fill('correct horse')
      await button(app, 'Check and keep').click()
      await app.getByText('The door says 400.').waitFor()
      pages.stage.door[`PATCH ${frameDoor}/connections/con_1`] = connection
      pages.stage.door[`GET ${frameDoor}/connections`] = list(connection)
      await button(app, 'Check and keep').click()
      await app.getByText('Reachable').waitFor()
      expect(asked('PATCH', `${frameDoor}/connections/con_1`).at(-1)?.body).toEqual({ secrets: { password: 'correct horse' } })
      expect(await app.content()).not.toContain('correct horse')
    })

    it('shows calmly what an ended installation left at Contentstack', async () => {
      const gone = installed(null, {
        status: 'uninstalled',
        left: [`the management token "${orphaned.name}"`, 'the webhook "Quayside ins_1"'],
        hold: { reason: 'Ended.', since: 1 }
      })
      const pasted = { ...retired, origin: 'pasted' as const, name: 'Made by hand' }
      const page = await inConsole(gone, kept(null, { history: [orphaned, pasted] }), { '/alerts': list(parting) })
      await page.getByRole('listitem').filter({ hasText: 'The webhook "Quayside ins_1"' }).waitFor()
      await page.getByText(/Tokens that somebody pasted are theirs.*Made by hand/).waitFor()
      expect(await page.getByRole('link', { name: 'Open in Contentstack' }).getAttribute('href')).toBe(parting.links[0]?.url)
      expect(await primaries(page)).toEqual([])
      expect(await page.getByRole('heading', { name: 'Management token' }).count()).toBe(0)
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })
  })

  describe('what editors see', () => {
    const held = [{ ...inSync, state: 'held' as const }]
    it.each([
      ['dead', dead, 'your syncs wait', /^Contentstack refused the token of Blog EU (on \d+ \w+ )?at \d\d:\d\d, so its syncs wait\.$/],
      ['near its end', expiring, null, /^The token of Blog EU expires in 6 days, on \d+ \w+ \d+\.$/]
    ])('a token that is %s, who mends it, and nothing to press', async (_title, of, banner, words) => {
      for (const path of ['/entry-sidebar', '/stack-dashboard', '/full-page']) {
        pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: false, installation: installed(of) })
        pages.stage.door[`GET ${frameDoor}`] = installed(of)
        pages.stage.door[status] = { entryUid: 'blt5', locale: 'en-us', banner, uncovered: null, syncs: held }
        const { app } = await inFrame(path, { width: 320 })
        await app.getByText(words).waitFor()
        await app.getByText(/Owner or Admin of the stack (replaces|can rotate)/).waitFor()
        expect(await app.getByRole('button', { name: /Replace|Rotate/ }).count()).toBe(0)
        expect(await app.getByText('your syncs wait').count()).toBe(0)
        expect(await app.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
        expect(await seriousFindings(app)).toEqual([])
      }
    })

    it('nothing of a token that ends in a month', async () => {
      const soon = { ...expiring, expiresAt: Date.now() + 20 * day }
      pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: false, installation: installed(soon) })
      pages.stage.door[`GET ${frameDoor}`] = installed(soon)
      const { app } = await inFrame('/entry-sidebar')
      await app.getByText('In sync with PostgreSQL').waitFor()
      expect(await app.getByText('expires').count()).toBe(0)
    })
  })

  describe('the console', () => {
    it('puts what needs somebody first, each with the way to where it is pressed', async () => {
      const two = installed(exposed, { id: 'ins_2', stackName: 'Docs' })
      pages.stage.door['GET /api/console/installations'] = list(installed(dead), two)
      pages.stage.door['GET /api/console/syncs'] = list()
      pages.stage.door['GET /api/console/runs'] = list()
      Object.assign(pages.stage.door, stackDoor('/api/console/installations/ins_2', two, kept(exposed), { '/recipients': list(channel) }))
      const page = await open(`${pages.stage.app}/console/`)
      await page.getByRole('link', { name: 'Look at the recipients' }).waitFor()
      const rows = await page.getByRole('group', { name: 'Installations that need somebody' }).getByRole('row').allInnerTexts()
      expect(rows.slice(1).map(row => row.split('\t')[0]?.trim())).toEqual(['Token refused', 'Token exposed', 'Alerts fail'])
      expect(await page.getByRole('link', { name: 'Replace the token' }).getAttribute('href')).toBe(`${here}?rotate`)
      expect(await page.getByRole('link', { name: 'Look at the recipients' }).getAttribute('href')).toBe(
        '/console/installations/ins_2#alerts'
      )
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })

    it('lists each token with its state and its end', async () => {
      pages.stage.door['GET /api/console/installations'] = list(installed(expiring))
      const page = await open(`${pages.stage.app}/console/installations`)
      await expect.poll(() => page.getByRole('cell', { name: 'Expiring expires in 6 days' }).count(), patience).toBe(1)
    })

    it('deletes an organization only by its exact name, and keeps the receipt although the session ends with it', async () => {
      const at = '/api/console/organizations/org_1/erase'
      pages.stage.door[`GET ${at}`] = preview
      pages.stage.door[`POST ${at}`] = (call: Asked) => {
        pages.stage.door['GET /api/console/me'] = 401
        return call.body && receipt
      }
      const page = await open(`${pages.stage.app}/console/settings`)
      await button(page, "Delete this organization's data").click()
      await page.getByText('1,204 links').waitFor()
      await page.getByText('1 token is in custody, and would stand in Contentstack with nobody to delete it.').waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      const press = button(page, 'Delete for good')
      await page.getByLabel('Type Harbour Publishing to go on').fill('harbour publishing')
      expect(await press.isDisabled()).toBe(true)
      await page.getByLabel('Type Harbour Publishing to go on').fill('Harbour Publishing')
      expect(await press.isDisabled()).toBe(true)
      await page.getByLabel(/^Leave 1 token standing/).check()
      await press.click()
      await page.getByText('The data of Harbour Publishing is deleted.').waitFor()
      expect(asked('POST', at).map(call => call.body)).toEqual([{ name: 'Harbour Publishing', leaveTokens: true }])
      await page.getByRole('link', { name: 'Log in with your organization' }).waitFor()
      await page.getByText('The data of Harbour Publishing is deleted.').waitFor()
      const download = page.waitForEvent('download')
      await page.getByRole('link', { name: 'Download receipt' }).click()
      const file = await download
      expect(file.suggestedFilename()).toBe('quayside-erasure-harbour-publishing.json')
      const text = (await (await file.createReadStream()).toArray()).join('')
      expect(JSON.parse(text)).toEqual(receipt)
    })
  })
})
