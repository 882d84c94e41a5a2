// The form of a new connection, made of what the connectors themselves say, in a real Chromium: every kind of system can be chosen and
// sent, and a secret that is not always there does not stand in the way.
import { describe, expect, it } from 'vitest'
import { connectorViews } from '../../server/sync/connections.ts'
import { button, custodyStage, frameDoor, kept } from './custody-stage.ts'
import { onStage, patience, seriousFindings } from './on-stage.ts'
import { connection, list, sync, token } from './states.ts'

onStage('the forms of a connection', pages => {
  const { asked } = pages
  const { config } = custodyStage(pages)
  const doors = { '/connectors': list(...connectorViews()) }
  const sent = () => asked('POST', `${frameDoor}/connections`).at(-1)?.body

  describe('a new one', () => {
    it.each([
      [
        'Webhook',
        { Address: 'https://website.example/hook', 'Signing secret': 'whsec_one' },
        { connector: 'webhook', settings: { url: 'https://website.example/hook' }, secrets: { signingSecret: 'whsec_one' } }
      ],
      [
        'MariaDB or MySQL',
        { Host: 'db.example', Database: 'shop', User: 'quayside', Password: 'correct horse' },
        {
          connector: 'sql',
          settings: { system: 'mysql', host: 'db.example', port: 3306, database: 'shop', user: 'quayside', ssl: 'off' },
          secrets: { password: 'correct horse' }
        }
      ]
    ])('to a %s takes what it needs and no more', async (system, typed, body) => {
      const { app } = await config(token, kept(token), { ...doors, '/connections': list() })
      pages.stage.door[`POST ${frameDoor}/connections`] = connection
      await button(app, 'Add connection').click()
      await app.getByLabel('System').selectOption({ label: system })
      await app.getByLabel('Name').fill('Website')
      for (const [label, value] of Object.entries(typed)) await app.getByLabel(label, { exact: true }).fill(value)
      expect(await seriousFindings(app)).toEqual([])
      await button(app, 'Check and add').click()
      await expect.poll(sent, patience).toEqual({ name: 'Website', ...body })
    })
  })

  it('gives a webhook another signing secret while the former still signs', async () => {
    const webhook = { ...connection, connector: 'webhook', system: 'Webhook', settings: { url: 'https://website.example/hook' } }
    const { app } = await config(token, kept(token), { ...doors, '/connections': list(webhook) })
    pages.stage.door[`PATCH ${frameDoor}/connections/con_1`] = webhook
    await button(app, 'Change secrets: Website database').click()
    await app.getByText('One that is left empty is erased.').waitFor()
    await app.getByLabel('Signing secret', { exact: true }).fill('whsec_new')
    await app.getByLabel('Former signing secret').fill('whsec_old')
    expect(await seriousFindings(app)).toEqual([])
    await button(app, 'Check and keep').click()
    await expect
      .poll(() => asked('PATCH', `${frameDoor}/connections/con_1`).at(-1)?.body, patience)
      .toEqual({ secrets: { signingSecret: 'whsec_new', formerSigningSecret: 'whsec_old' } })
  })

  it('pauses what writes to a connection, where something does', async () => {
    const writing = { ...sync, connectionId: connection.id, direction: 'outbound' as const, state: 'active' as const }
    const idle = { ...connection, id: 'con_2', name: 'Idle' }
    const { app } = await config(token, kept(token), { ...doors, '/connections': list(connection, idle), '/syncs': list(writing) })
    pages.stage.door[`POST ${frameDoor}/connections/con_1/pause`] = list({ ...writing, state: 'paused' })
    await button(app, `Pause its syncs: ${connection.name}`).waitFor()
    expect(await button(app, 'Pause its syncs: Idle').count()).toBe(0)
    pages.stage.door[`GET ${frameDoor}/syncs`] = list({ ...writing, state: 'paused' })
    await button(app, `Pause its syncs: ${connection.name}`).click()
    await expect.poll(() => asked('POST', `${frameDoor}/connections/con_1/pause`).length, patience).toBe(1)
    await expect.poll(() => button(app, `Pause its syncs: ${connection.name}`).count(), patience).toBe(0)
  })
})
