// The life of a token on the pages, in a real Chromium: each state as the door tells it, what is pressed, and what is sent then.
import { describe, expect, it } from 'vitest'
import { button, consoleDoor, custodyStage, frameDoor, here, kept, primaries } from './custody-stage.ts'
import { onStage, patience, seriousFindings } from './on-stage.ts'
import { session } from './stage.ts'
import {
  channel,
  dead,
  expiring,
  exposed,
  grant,
  hook,
  installed,
  list,
  mail,
  orphaned,
  predecessor,
  retired,
  stackDoor,
  token
} from './states.ts'

onStage('the life of a token', pages => {
  const { open, asked, inFrame } = pages
  const { config, inConsole, grants } = custodyStage(pages)

  describe('the token section', () => {
    it('shows a token that is well calmly: what is known of it, what comes next, and no primary button', async () => {
      const { app } = await config(token, kept(token, { history: [retired], grant: grant() }), { '/recipients': list(mail, channel, hook) })
      const section = app.getByRole('region', { name: 'Management token' })
      await section.getByText('A reminder goes to 3 recipients 30, 14, 7 and 1 days before.').waitFor()
      await section.getByText('in 85 days').waitFor()
      await button(app, 'Rotate token').waitFor()
      expect(await primaries(app)).toEqual([])
      await section.getByText('What was verified (6)').click()
      await section.getByRole('cell', { name: 'Likely' }).waitFor()
      expect(await section.getByText('Earlier tokens (1)').count()).toBe(1)
      expect(await seriousFindings(app)).toEqual([])
    })

    it('says of a token near its end when, what waits then, and offers to rotate it', async () => {
      const { app } = await config(expiring, kept(expiring, { history: [orphaned] }))
      await app.getByText(/^The token of Blog EU expires in 6 days, on \d+ \w+ \d+\.$/).waitFor()
      await app.getByText('When it does, its 3 syncs wait; nothing is lost.', { exact: true }).waitFor()
      expect(await primaries(app)).toEqual(['Rotate token'])
      await app.getByText('1 token may still stand in Contentstack, and nobody here holds it.').waitFor()
      await app.getByRole('listitem').filter({ hasText: orphaned.name }).waitFor()
      expect(await app.getByText('Earlier tokens').count()).toBe(0)
    })

    it('says of a refused token since when, to an admin who cannot be proven, and offers to replace it', async () => {
      pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: null, installation: installed(dead) })
      Object.assign(pages.stage.door, stackDoor(frameDoor, installed(dead), kept(null)))
      const { app } = await inFrame('/app-configuration', { width: 1000 })
      await app.getByText(/^The token of Blog EU was refused by Contentstack (on \d+ \w+ )?at \d\d:\d\d\.$/).waitFor()
      await app.getByText('Its 3 syncs are on hold; nothing is lost.').waitFor()
      expect(await primaries(app)).toEqual(['Replace token'])
      expect(await app.getByText('no longer accepts').count()).toBe(0)
      expect(await seriousFindings(app)).toEqual([])
    })

    it('says why an exposed token should go although it works', async () => {
      const { app } = await config(exposed, kept(exposed))
      await app.getByText('The token of Blog EU should be replaced, although it works.').waitFor()
      expect(await primaries(app)).toEqual(['Rotate token'])
    })

    it('says until when an authorization stays valid that Contentstack did not take back', async () => {
      const left = grant({ status: 'revoke_refused', validUntil: Date.now() + 1_800_000 })
      const { app } = await config(token, kept(token, { grant: left }))
      await app.getByText('Contentstack did not let us give the authorization back.').waitFor()
      await app.getByText(/^It is valid until .* Authorized Apps\.$/).waitFor()
      expect(await app.getByText('Not given back').count()).toBe(1)
    })

    it('shows an auditor everything and nothing to press', async () => {
      pages.stage.door['GET /api/console/me'] = {
        name: 'Aud',
        email: 'a@x',
        organizations: [{ id: 'org_1', name: 'Harbour Publishing', role: 'auditor' }]
      }
      const page = await inConsole(
        installed(expiring),
        kept(expiring),
        { '/predecessors': list(predecessor), '/recipients': list(channel) },
        `${here}?rotate`
      )
      await page.getByText("A stack Owner or Admin can rotate it on the app's configuration page.").waitFor()
      await page.getByText(String(channel.error)).waitFor()
      await page.getByText('An admin can take them over.').waitFor()
      const pressable = /Rotate|Replace|Connect|recipient|test|Remove|Take|token up|Uninstall|secrets/
      expect(await page.getByRole('button', { name: pressable }).count()).toBe(0)
      expect(await page.getByRole('heading', { name: 'Leave' }).count()).toBe(0)
    })
  })

  describe('connecting and rotating', () => {
    it.each(['?rotate', '#token'])('opens the form, with the focus in it, for whoever follows a reminder to %s', async ask => {
      const page = await inConsole(installed(expiring), kept(expiring), {}, `${here}${ask}`)
      await page.getByRole('heading', { name: 'Rotate the token' }).waitFor()
      await expect.poll(() => page.evaluate(() => document.activeElement?.textContent), patience).toBe('Rotate the token')
      await button(page, 'Cancel').click()
      expect(new URL(page.url()).pathname + new URL(page.url()).search + new URL(page.url()).hash).toBe(here)
      await button(page, 'Rotate token').waitFor()
    })

    it('asks for the way back to the form where a reminder is followed by somebody not logged in', async () => {
      pages.stage.door['GET /api/console/me'] = 401
      const page = await open(`${pages.stage.app}${here}#token`)
      const link = page.getByRole('link', { name: 'Log in with your organization' })
      expect(await link.getAttribute('href')).toBe(`/console/login?return=${encodeURIComponent(`${here}?rotate`)}`)
    })

    it('shows what follows from each lifetime, by keyboard alone, and asks for the branches of the token that goes', async () => {
      const { door } = grants(consoleDoor, kept(expiring))
      const page = await inConsole(installed(expiring), door, {}, `${here}?rotate`)
      await page.getByRole('radio', { name: /In 90 days\. A person clicks once every 90 days; when nobody does, syncs wait\./ }).focus()
      await page.keyboard.press('ArrowUp')
      expect(await page.getByRole('radio', { name: 'Never. Nobody has to click, and nobody notices a leak.' }).isChecked()).toBe(true)
      await page.keyboard.press('Tab')
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await expect
        .poll(() => asked('POST', `${consoleDoor}/grants`).map(call => call.body), patience)
        .toEqual([{ purpose: 'rotate', expiresInDays: null, branches: ['main', 'spring'] }])
    })

    it('follows a rotation: the old token proven dead before the authorization is given back', async () => {
      const steps = grants(frameDoor, kept(token))
      const { app } = await config(token, steps.door)
      await button(app, 'Rotate token').click()
      await button(app, 'Authorise in Contentstack').click()
      const step = (title: string) => app.getByRole('listitem').filter({ hasText: title })
      await step('You authorise in the other window, under way').waitFor()
      const next = { ...token, id: 'tok_2', name: 'Quayside 111122223333' }
      steps.becomes('minted', { current: next, history: [{ ...token, status: 'retiring' }] })
      await step('A new token is minted, sealed and verified; work goes on with it, done').waitFor()
      await step('The old token is deleted, and proven dead while the new one lives, under way').waitFor()
      steps.becomes('minted', { current: next, history: [{ ...token, status: 'retired' }] })
      await step('proven dead while the new one lives, done').waitFor()
      await step('Your authorization is given back, under way').waitFor()
      steps.becomes('revoked')
      await app.getByText('The new token is in custody.').waitFor()
      await app.getByText('Nothing of yours is kept: Contentstack confirms that the authorization is gone.').waitFor()
      expect(await seriousFindings(app)).toEqual([])
    })

    it('never says that nothing is kept where the authorization could not be given back', async () => {
      const steps = grants(frameDoor, kept(token))
      const { app } = await config(token, steps.door)
      await button(app, 'Rotate token').click()
      await button(app, 'Authorise in Contentstack').click()
      steps.becomes('revoke_refused', { current: { ...token, id: 'tok_2' }, history: [{ ...orphaned, id: 'tok_1' }] })
      await app.getByText('Your authorization could not be given back').waitFor()
      await app.getByText('The old token could not be deleted').waitFor()
      await app.getByText('The new token is in custody.').waitFor()
      expect(await app.getByText('Nothing of yours is kept').count()).toBe(0)
    })

    it('shows the names that stand in the way at the limit, and mints beyond it only when told', async () => {
      const steps = grants(frameDoor, kept(null))
      const { app } = await config(null, steps.door)
      await button(app, 'Connect this stack').click()
      expect(await app.getByLabel(/^Mint all the same/).count()).toBe(0)
      await button(app, 'Authorise in Contentstack').click()
      steps.becomes('failed', {}, 'This stack has 10 valid management tokens: Anna, Ben, Deploy.')
      await app.getByText('Anna, Ben, Deploy').waitFor()
      await button(app, 'Try again').click()
      await app.getByLabel(/^Mint all the same: Contentstack may expire the stack's oldest token without a word\./).check()
      await button(app, 'Authorise in Contentstack').click()
      await expect
        .poll(() => asked('POST', `${frameDoor}/grants`).map(call => call.body), patience)
        .toEqual([
          { purpose: 'mint', expiresInDays: 90, branches: ['main'] },
          { purpose: 'mint', expiresInDays: 90, branches: ['main'], overLimit: true }
        ])
    })

    it('offers the same where the server refuses at once', async () => {
      const { app } = await config(null, kept(null))
      pages.stage.door[`POST ${frameDoor}/grants`] = 409
      await button(app, 'Connect this stack').click()
      await button(app, 'Authorise in Contentstack').click()
      await app.getByText('The door says 409.').waitFor()
      expect(await app.getByLabel(/^Mint all the same/).isChecked()).toBe(false)
    })

    it('gives the token up after saying what waits', async () => {
      const steps = grants(frameDoor, kept(token))
      const { app } = await config(token, steps.door)
      await button(app, 'Give the token up').click()
      await app.getByRole('dialog').getByText('3 syncs wait from then on').waitFor()
      await button(app, 'Authorise and give up').click()
      await expect
        .poll(() => asked('POST', `${frameDoor}/grants`)[0]?.body, patience)
        .toEqual({
          purpose: 'delete',
          expiresInDays: null,
          branches: []
        })
      steps.becomes('revoked', { current: null, history: [{ ...token, status: 'retired' }] })
      await app.getByText('Contentstack holds no token of ours for this stack any more.').waitFor()
      // Who may see the rest of the page is asked when this has been read: without a token nobody can be proven an admin.
      expect(asked('POST', '/api/extension/session/renew')).toEqual([])
      pages.stage.door['POST /api/extension/session/renew'] = session({ stackAdmin: null, installation: installed(null) })
      await button(app, 'Close').click()
      await expect.poll(() => app.getByRole('heading', { name: 'Leave' }).count(), patience).toBe(0)
    })

    it('uninstalls after saying how much ends, and says what is left to do by hand', async () => {
      const steps = grants(consoleDoor, kept(token))
      const page = await inConsole(installed(token), steps.door)
      await button(page, 'Uninstall Quayside').click()
      const dialog = page.getByRole('dialog')
      await dialog.getByText('3 syncs end.').waitFor()
      await dialog.getByText('The secrets of 1 connection are erased.').waitFor()
      await dialog.getByText(`The token ${token.name} is deleted at Contentstack, and proven dead.`).waitFor()
      expect(await dialog.getByText(/access keys? ends?/).count()).toBe(0)
      expect(await seriousFindings(page.mainFrame())).toEqual([])
      await button(page, 'Authorise and uninstall').click()
      await expect
        .poll(() => asked('POST', `${consoleDoor}/grants`)[0]?.body, patience)
        .toEqual({
          purpose: 'uninstall',
          expiresInDays: null,
          branches: []
        })
      steps.becomes('revoked', { current: null, history: [{ ...token, status: 'retired' }] })
      pages.stage.door[`GET ${consoleDoor}`] = installed(null, { status: 'uninstalled' })
      await page.getByText('One thing is left to do by hand').waitFor()
      await page.getByRole('listitem').filter({ hasText: 'The installation ends, done' }).waitFor()
      await page.getByText('Nothing of ours that we know of.').waitFor()
      await button(page, 'Close').click()
      await expect.poll(() => page.getByRole('heading', { name: 'Leave' }).count(), patience).toBe(0)
    })

    it('takes being refused in the CMS for the end of the installation, once it was authorised', async () => {
      const steps = grants(frameDoor, kept(token))
      const { app } = await config(token, steps.door)
      await button(app, 'Uninstall Quayside').click()
      await button(app, 'Authorise and uninstall').click()
      steps.becomes('minted', { current: null, history: [{ ...token, status: 'retired' }] })
      await app.getByRole('listitem').filter({ hasText: 'The token is deleted and proven dead, done' }).waitFor()
      for (const path of ['', '/token']) pages.stage.door[`GET ${frameDoor}${path}`] = 401
      await app.getByText('Quayside has left this stack.').waitFor()
      expect(await app.getByRole('listitem').filter({ hasText: 'The installation ends, done' }).count()).toBe(1)
    })
  })
})
