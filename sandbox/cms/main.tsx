// The CMS page's start: where the hosts are, who is logged in, and which page an address means.
import { StrictMode, useCallback, useMemo, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { createClient, type Person, type Platform, type Session } from './client.ts'
import { CmsContext } from './cms-context.ts'
import { AuthorizePage } from './access/authorize.tsx'
import { InstallPage } from './access/install.tsx'
import { LoginPage } from './access/login.tsx'
import { match, navigate, useAddress, withoutHash } from './route.ts'
import { StackPages } from './stack/stack-pages.tsx'
import { StacksPage } from './stack/stacks.tsx'

const remembered = 'sandbox-session'

function App({ platform }: { platform: Platform }) {
  const [session, setSession] = useState<Session | null>(() => JSON.parse(sessionStorage.getItem(remembered) ?? 'null') as Session | null)
  const [refused, setRefused] = useState<string | null>(null)
  const logout = useCallback(() => {
    sessionStorage.removeItem(remembered)
    setSession(null)
  }, [])
  const cms = useMemo(() => {
    const client = createClient(platform, session?.authtoken ?? null, () => {
      setRefused(session?.user.first_name ?? null)
      logout()
    })
    async function login(person: Person): Promise<void> {
      const user = { email: person.email, password: person.password }
      const anonymous = createClient(platform, null, () => {})
      const reply = await anonymous.cma<{ user: Session['user'] & { authtoken: string } }>('POST', '/user-session', undefined, {
        body: { user }
      })
      const { authtoken, ...rest } = reply.user
      const next = { authtoken, user: rest as Session['user'] }
      sessionStorage.setItem(remembered, JSON.stringify(next))
      setRefused(null)
      setSession(next)
    }
    return { client, session, login, logout }
  }, [platform, session, logout])
  return (
    <CmsContext value={cms}>
      <Page loggedIn={session !== null} refused={refused} />
    </CmsContext>
  )
}

function Page({ loggedIn, refused }: { loggedIn: boolean; refused: string | null }) {
  const address = useAddress()
  const path = address.pathname
  // This page shows how somebody's access ends, so it has to outlive it.
  const needsNobody = match('/stack/:key/people', path)
  if (!loggedIn && !needsNobody) return <LoginPage refused={refused} />
  const install = match('/apps/:uid/install', path)
  if (install) return <InstallPage appUid={install['uid'] ?? ''} />
  const authorize = match('/apps/:uid/authorize', path)
  if (authorize) return <AuthorizePage appUid={authorize['uid'] ?? ''} request={address.searchParams} />
  // The address Developer Hub's install reply names (platform reference §5).
  const installed = match('/installed-apps/:installation/stacks/:key/config', path)
  if (installed) {
    navigate(`/stack/${installed['key']}/apps/${installed['installation']}/configure`, 'replace')
    return null
  }
  if (path.startsWith('/stack/')) return <StackPages address={address} />
  return <StacksPage />
}

async function start(): Promise<void> {
  const path = withoutHash(new URL(location.href))
  if (path) history.replaceState(null, '', path)
  const platform = (await (await fetch('/apps-api/sandbox')).json()) as Platform
  const root = document.getElementById('root')
  if (root) {
    createRoot(root).render(
      <StrictMode>
        <App platform={platform} />
      </StrictMode>
    )
  }
}

void start()
