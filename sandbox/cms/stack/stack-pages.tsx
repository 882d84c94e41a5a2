// The pages of one stack and branch. What all of them need (the stack, its locales, its apps) is read once here.
import { AppsPage } from './apps.tsx'
import { AppPage, DashboardPage } from './app-pages.tsx'
import { AssetPage, AssetsPage } from './assets.tsx'
import { useCms, useLoad } from '../cms-context.ts'
import { ConfigurationPage } from './configuration.tsx'
import { ContentTypesPage } from './content-types.tsx'
import { EntriesPage } from './entries.tsx'
import { EntryPage } from '../entry/entry-page.tsx'
import type { InstalledApp, StackDetail } from '../host/place.ts'
import { Await } from '../pieces/pieces.tsx'
import { match } from '../route.ts'
import { Navigation, type StackScope, TopBar } from './shell.tsx'
import { LeavingPage } from './leaving.tsx'
import { TokensPage } from './tokens.tsx'
import { WebhooksPage } from './webhooks.tsx'

export function StackPages({ address }: { address: URL }) {
  const { client, session } = useCms()
  const apiKey = match('/stack/:key', address.pathname.split('/').slice(0, 3).join('/'))?.['key'] ?? ''
  const branch = address.searchParams.get('branch') ?? 'main'
  const scope = useLoad(`${apiKey} ${branch} ${session?.authtoken}`, async (): Promise<StackScope | null> => {
    if (!session) return null
    const [{ stack }, { locales }, { branches }, { apps }] = await Promise.all([
      client.cma<{ stack: StackDetail }>('GET', '/stacks', apiKey),
      client.cma<{ locales: { code: string; name: string }[] }>('GET', '/locales', apiKey, { branch }),
      client.cma<{ branches: { uid: string }[] }>('GET', '/stacks/branches', apiKey).catch(() => ({ branches: [] })),
      client.own<{ apps: InstalledApp[] }>('GET', `/locations?api_key=${encodeURIComponent(apiKey)}`)
    ])
    const master = stack.master_locale
    const sorted = locales.toSorted((a, b) => Number(b.code === master) - Number(a.code === master))
    return { stack: { ...stack, branches }, branch, locales: sorted, apps }
  })
  const path = address.pathname
  const leaving = match('/stack/:key/people', path)
  const loaded = scope.data ?? undefined
  return (
    <>
      <TopBar {...(loaded ? { stack: loaded.stack, branch, branches: loaded.stack.branches } : {})} />
      <div className="with-navigation">
        <Navigation apiKey={apiKey} branch={branch} apps={loaded?.apps ?? []} path={path} />
        <main className="page">
          {leaving ? <LeavingPage apiKey={apiKey} person={address.searchParams.get('person')} /> : null}
          {leaving ? null : <Await of={scope}>{data => (data ? <Inside scope={data} path={path} address={address} /> : null)}</Await>}
        </main>
      </div>
    </>
  )
}

function Inside({ scope, path, address }: { scope: StackScope; path: string; address: URL }) {
  const locale = address.searchParams.get('locale') ?? scope.stack.master_locale
  const entry = match('/stack/:key/content-type/:type/:locale/entry/:uid/edit', path)
  if (entry)
    return (
      <EntryPage key={path} scope={scope} contentTypeUid={entry['type'] ?? ''} locale={entry['locale'] ?? ''} uid={entry['uid'] ?? ''} />
    )
  const created = match('/stack/:key/content-type/:type/:locale/entry/create', path)
  if (created)
    return <EntryPage key={path} scope={scope} contentTypeUid={created['type'] ?? ''} locale={created['locale'] ?? ''} uid={null} />
  const type = match('/stack/:key/content-type/:type', path)
  if (type)
    return (
      <EntriesPage scope={scope} contentTypeUid={type['type'] ?? ''} locale={locale} skip={Number(address.searchParams.get('skip') ?? 0)} />
    )
  const asset = match('/stack/:key/assets/:uid', path)
  if (asset) return <AssetPage key={path} scope={scope} uid={asset['uid'] ?? ''} />
  if (match('/stack/:key/assets', path)) return <AssetsPage scope={scope} />
  if (match('/stack/:key/dashboard', path)) return <DashboardPage scope={scope} />
  const app = match('/stack/:key/app/:installation/:extension', path)
  if (app) return <AppPage key={path} scope={scope} installationUid={app['installation'] ?? ''} extensionUid={app['extension'] ?? ''} />
  const configure = match('/stack/:key/apps/:installation/configure', path)
  if (configure) return <ConfigurationPage key={path} scope={scope} installationUid={configure['installation'] ?? ''} />
  if (match('/stack/:key/apps', path)) return <AppsPage scope={scope} />
  if (match('/stack/:key/webhooks', path)) return <WebhooksPage scope={scope} />
  if (match('/stack/:key/tokens', path)) return <TokensPage scope={scope} />
  return <ContentTypesPage scope={scope} />
}
