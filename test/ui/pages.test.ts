// The pages in a real Chromium, built as they are shipped and under the policy they are served with.
import { describe, expect, it } from 'vitest'
import { onStage, patience, seriousFindings, status } from './on-stage.ts'
import { type Asked, inSync, installation, run, session } from './stage.ts'
import { token as minted } from './states.ts'

const nothing = { items: [], next: null }

onStage('the pages', pages => {
  const { open, inFrame, asked } = pages

  describe('the door of the extension', () => {
    it('takes the app-token out of the address, exchanges it once and keeps the session in memory only', async () => {
      const { app } = await inFrame('/entry-sidebar')
      await app.getByText('In sync with PostgreSQL').waitFor()
      expect(new URL(app.url()).search).toBe('?branch=main')
      expect(asked('POST', '/api/extension/session').map(call => call.body)).toEqual([{ appToken: 'signed' }])
      expect(asked('GET', status.slice(4))[0]?.headers.authorization).toBe('Bearer the-session')
      expect(await app.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie])).toEqual([0, 0, ''])
      expect(
        pages.stage.asked.every(call => !call.query.toString().includes('the-session') && !call.query.toString().includes('signed'))
      ).toBe(true)
    })

    it('says what to do outside of the CMS, and asks the server nothing', async () => {
      const page = await open(`${pages.stage.app}/entry-sidebar?app-token=signed`)
      await page.getByRole('heading', { name: 'This page belongs inside Contentstack' }).waitFor()
      expect(new URL(page.url()).search).toBe('')
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })

    it("shows the server's words when the app-token is refused", async () => {
      pages.stage.door['POST /api/extension/session'] = 401
      const { app } = await inFrame('/entry-sidebar')
      await app.getByText('The door says 401.').waitFor()
      expect(await app.getByText('Do what it says.').count()).toBe(1)
    })

    it('asks for a reload of the CMS page when the session is over', async () => {
      const { app } = await inFrame('/entry-sidebar')
      await app.getByText('In sync with PostgreSQL').waitFor()
      pages.stage.door[status] = 401
      await expect.poll(() => app.getByText('Reload the Contentstack page to go on.').count(), patience).toBe(1)
    })
  })

  describe('the entry sidebar', () => {
    it('asks again every second and shows what changed', async () => {
      const { app } = await inFrame('/entry-sidebar')
      await app.getByText('In sync with PostgreSQL').waitFor()
      pages.stage.door[status] = {
        entryUid: 'blt5',
        locale: 'en-us',
        banner: null,
        uncovered: null,
        syncs: [{ ...inSync, state: 'failing', error: 'db does not answer.' }]
      }
      await app.getByRole('button', { name: /PostgreSQL.*Failing/ }).click()
      await app.getByText('db does not answer.').waitFor()
      expect(await seriousFindings(app)).toEqual([])
    })

    it('has a heading that is called what it says, within a status that is heard when it changes', async () => {
      const { app } = await inFrame('/entry-sidebar')
      await app.getByRole('heading', { level: 2, name: 'In sync with PostgreSQL', exact: true }).waitFor()
      expect(await app.getByRole('status').getByRole('heading', { name: 'In sync with PostgreSQL' }).count()).toBe(1)
    })

    it('tells two rows of one system apart by their connections, and says in words what caused the last change', async () => {
      const rows = [inSync, { ...inSync, syncId: 'syn_2', connection: 'Archive', cause: 'the initial run', causeId: 'run_1' }]
      pages.stage.door[status] = { entryUid: 'blt5', locale: 'en-us', banner: null, uncovered: null, syncs: rows }
      const { app } = await inFrame('/entry-sidebar')
      await app.getByRole('button', { name: /^PostgreSQL · Archive/ }).waitFor()
      await app.getByRole('button', { name: /^PostgreSQL · Website database/ }).click()
      await app.getByText('an edit in Contentstack').waitFor()
      await app.getByRole('button', { name: `Copy ${inSync.causeId}` }).waitFor()
      expect(await app.getByText(String(inSync.causeId), { exact: true }).count()).toBe(0)
      expect(await seriousFindings(app)).toEqual([])
    })

    it('asks about the saved version as soon as the editor saves', async () => {
      const { page, app } = await inFrame('/entry-sidebar')
      await app.getByText('en-us · version 5').waitFor()
      // The SDK tells the frame 400 ms late which events it wants; saving before that reaches nobody.
      await expect
        .poll(async () => {
          await page.evaluate(() => (globalThis as unknown as { save(version: number): void }).save(6))
          return await app.getByText('en-us · version 6').count()
        }, patience)
        .toBe(1)
      await expect.poll(() => pages.stage.asked.some(call => call.query.get('version') === '6'), patience).toBe(true)
    })

    it('"Sync now" asks for this entry, locale and branch', async () => {
      pages.stage.door['POST /api/extension/entries/article/blt5/sync'] = { queued: 2 }
      const { app } = await inFrame('/entry-sidebar')
      await app.getByRole('button', { name: 'Sync now' }).click()
      await app.getByText('2 syncs asked.').waitFor()
      expect(asked('POST', '/api/extension/entries/article/blt5/sync')[0]?.body).toEqual({ locale: 'en-us', branch: 'main' })
    })

    it('says so for an entry that was never saved, and asks nothing about it', async () => {
      const { app } = await inFrame('/entry-sidebar', { query: '&unsaved=1' })
      await app.getByText('Not saved yet').waitFor()
      expect(pages.stage.asked.filter(call => call.path.includes('/entries/'))).toEqual([])
    })

    it('says why no sync covers an entry', async () => {
      pages.stage.door[status] = { entryUid: 'blt5', locale: 'en-us', banner: null, uncovered: 'No sync carries Article.', syncs: [] }
      const { app } = await inFrame('/entry-sidebar')
      await app.getByText('No sync carries Article.').waitFor()
      expect(await app.getByRole('button', { name: 'Sync now' }).count()).toBe(0)
    })

    it.each([320, 400])('fits into %i px', async width => {
      pages.stage.door[status] = {
        entryUid: 'blt5',
        locale: 'en-us',
        banner: 'The token of Blog EU was refused by Contentstack at 14:02. A stack admin can replace it.',
        uncovered: null,
        syncs: [inSync, { ...inSync, syncId: 'syn_2', system: 'Ein_sehr_langer_Name_ohne_jede_Luecke_darin', state: 'behind' }]
      }
      const { app } = await inFrame('/entry-sidebar', { width })
      await app.getByText('In sync with 1 of 2 systems').waitFor()
      expect(await app.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
    })
  })

  describe('app configuration', () => {
    const custody = { current: null, history: [], grant: null as unknown }

    it('opens the consent in a window of its own and follows the grant to its end', async () => {
      let grant: unknown = null
      pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: null, installation: { ...installation, token: null } })
      pages.stage.door['GET /api/extension/stack/token'] = () => ({ ...custody, grant })
      pages.stage.door['POST /api/extension/stack/grants'] = () => {
        grant = { id: 'grt_1', purpose: 'mint', status: 'started', validUntil: null, error: null, createdAt: 1, finishedAt: null }
        return { grantId: 'grt_1', url: `${pages.stage.app}/ui/console.html` }
      }
      for (const list of ['connections', 'syncs', 'keys']) pages.stage.door[`GET /api/extension/stack/${list}`] = nothing
      const { page, app } = await inFrame('/app-configuration', { width: 1000 })
      await app.getByRole('button', { name: 'Connect this stack' }).click()
      const opened = page.context().waitForEvent('page')
      await app.getByRole('button', { name: 'Authorise in Contentstack' }).click()
      await (await opened).waitForURL(`${pages.stage.app}/ui/console.html`)
      expect(await (await opened).evaluate(() => globalThis.opener === null)).toBe(true)
      expect(asked('POST', '/api/extension/stack/grants')[0]?.body).toEqual({ purpose: 'mint', expiresInDays: 90, branches: ['main'] })
      await app.getByText('You authorise in the other window').waitFor()
      grant = { id: 'grt_1', purpose: 'mint', status: 'revoked', validUntil: null, error: null, createdAt: 1, finishedAt: 2 }
      await app.getByText("The stack's own token is in custody.").waitFor()
      // The renewed session knows an admin: the rest of the page opens by itself.
      await app.getByRole('heading', { name: 'Access keys' }).waitFor()
    })

    it('shows why a pasted token is refused, and forgets one that is kept', async () => {
      const token = { ...minted, name: 'pasted', origin: 'pasted', branches: [], expiresAt: null, verification: [] }
      pages.stage.door['GET /api/extension/stack/token'] = custody
      pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: null, installation: { ...installation, token: null } })
      pages.stage.door['POST /api/extension/stack/tokens/paste'] = 400
      const { app } = await inFrame('/app-configuration', { width: 1000 })
      await app.getByRole('button', { name: 'Paste a token instead' }).click()
      const field = app.getByLabel('Token', { exact: true })
      expect(await field.getAttribute('type')).toBe('password')
      await field.fill('blt_an_authtoken')
      await app.getByRole('button', { name: 'Verify and keep' }).click()
      await app.getByText('The door says 400.').waitFor()
      expect(await seriousFindings(app)).toEqual([])
      pages.stage.door['POST /api/extension/stack/tokens/paste'] = token
      pages.stage.door['GET /api/extension/stack/token'] = { ...custody, current: token }
      for (const list of ['connections', 'syncs', 'keys']) pages.stage.door[`GET /api/extension/stack/${list}`] = nothing
      await field.fill('cs_a_management_token')
      await app.getByRole('button', { name: 'Verify and keep' }).click()
      await app.getByText('The token is verified and in custody.').waitFor()
      expect(await field.inputValue()).toBe('')
      expect(await app.content()).not.toContain('cs_a_management_token')
    })

    it('tells an editor that it is for admins, and asks for nothing that would be refused', async () => {
      pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: false })
      const { app } = await inFrame('/app-configuration', { width: 1000 })
      await app.getByText("This page is for the stack's admins.").waitFor()
      expect(pages.stage.asked.map(call => call.path)).toEqual(['/api/extension/session'])
    })
  })

  describe('the console', () => {
    it('shows the way to log in, and back to the page that was asked for', async () => {
      pages.stage.door['GET /api/console/me'] = 401
      const page = await open(`${pages.stage.app}/console/runs?status=failed`)
      const link = page.getByRole('link', { name: 'Log in with your organization' })
      expect(await link.getAttribute('href')).toBe('/console/login?return=%2Fconsole%2Fruns%3Fstatus%3Dfailed')
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })

    it('keeps filter and place of a list in the address', async () => {
      pages.stage.door['GET /api/console/runs'] = (call: Asked) => (call.query.get('before') ? nothing : { items: [run], next: 'run_0' })
      const page = await open(`${pages.stage.app}/console/runs`)
      await page.getByLabel('State').selectOption('running')
      await expect.poll(() => pages.stage.asked.some(call => call.query.get('status') === 'running'), patience).toBe(true)
      await page.getByRole('link', { name: 'Older' }).click()
      await page.getByText('Nothing here matches the filter.').waitFor()
      expect(new URL(page.url()).search).toBe('?status=running&before=run_0')
      await page.goBack()
      await page.getByRole('link', { name: 'Articles' }).waitFor()
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })

    it('follows a run while it works', async () => {
      let written = 200
      pages.stage.door['GET /api/console/installations/ins_1'] = installation
      pages.stage.door['GET /api/console/installations/ins_1/runs/run_1'] = () =>
        written < 900
          ? { ...run, written: (written += 100) }
          : { ...run, written: 950, read: 1000, status: 'success', finishedAt: Date.now() }
      const page = await open(`${pages.stage.app}/console/installations/ins_1/runs/run_1`)
      await page.getByText(/\d+ of 1,000 records done · \d+ a second · \d+ s left/).waitFor()
      await page.getByText('1,000 of 1,000 records done').waitFor()
      await page.getByText('Success').waitFor()
      expect(await page.getByRole('button', { name: 'Cancel run' }).count()).toBe(0)
      expect(await seriousFindings(page.mainFrame())).toEqual([])
    })

    it('shows a new access key once', async () => {
      const accessKey = {
        id: 'key_1',
        installationId: 'ins_1',
        stackName: 'Blog EU',
        name: 'nightly',
        fingerprint: 'qsk_7h…',
        owner: 'Otto',
        scopes: [{ module: 'entries', actions: ['read'] }],
        status: 'active',
        expiresAt: null,
        lastUsedAt: null,
        createdAt: 1
      }
      const base = '/api/console/installations/ins_1'
      pages.stage.door[`GET ${base}`] = installation
      pages.stage.door[`GET ${base}/token`] = { current: null, history: [], grant: null }
      for (const list of ['connections', 'syncs', 'runs', 'keys']) pages.stage.door[`GET ${base}/${list}`] = nothing
      pages.stage.door[`POST ${base}/keys`] = { accessKey, key: 'qsk_the_whole_key', gatewayUrl: 'https://quayside.example/gateway/v3' }
      const page = await open(`${pages.stage.app}/console/installations/ins_1`)
      await page.getByRole('button', { name: 'Create access key' }).click()
      await page.getByLabel('Name', { exact: true }).fill('nightly')
      await page.getByRole('group', { name: 'Entries' }).getByLabel('read').check()
      await page.getByRole('button', { name: 'Create key' }).click()
      await page.getByText('qsk_the_whole_key').waitFor()
      expect(asked('POST', `${base}/keys`)[0]?.body).toEqual({
        name: 'nightly',
        scopes: [{ module: 'entries', actions: ['read'] }],
        expiresInDays: 90
      })
      await page.getByRole('button', { name: 'I have copied it' }).click()
      expect(await page.getByText('qsk_the_whole_key').count()).toBe(0)
    })

    it('says what went wrong and offers to try again', async () => {
      pages.stage.door['GET /api/console/audit'] = 500
      const page = await open(`${pages.stage.app}/console/audit`)
      await page.getByText('The door says 500.').waitFor()
      pages.stage.door['GET /api/console/audit'] = nothing
      await page.getByRole('button', { name: 'Try again' }).click()
      await expect.poll(() => page.getByText('What people and keys do in Quayside will be recorded here.').count(), patience).toBe(1)
    })
  })
})
