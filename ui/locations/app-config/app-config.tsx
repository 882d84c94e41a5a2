// Where a stack admin sets the app up and keeps it in order, top to bottom in the order of need: the token, the connections,
// the syncs, the access keys, who is told, the way out. Only the next thing to do carries the page's primary button.
import { Notice } from '../../components/basics.tsx'
import { AlertsSection } from '../../components/stack/alerts-section.tsx'
import { ConnectionsSection } from '../../components/stack/connections-section.tsx'
import { KeysSection } from '../../components/stack/keys-section.tsx'
import { LeaveSection } from '../../components/stack/leave-section.tsx'
import { Predecessors } from '../../components/stack/predecessors.tsx'
import { useConnections, useCustody, usePredecessors, useStack, useSyncs } from '../../components/stack/stack-view.tsx'
import { SyncsSection } from '../../components/stack/syncs-section.tsx'
import { TokenSection } from '../../components/stack/token-section.tsx'
import { useHost } from '../../host/host-provider.tsx'
import { NotAdmin, Pages, pagesIn } from '../admin-only.tsx'

const router = pagesIn(<Home />)

export default function AppConfig() {
  return <Pages router={router} />
}

function Home() {
  const { session } = useHost()
  const { stackAdmin } = session
  const { installation } = useStack()
  return (
    <main className="location">
      <header className="page-head">
        <h1>Quayside for {installation.stackName || 'this stack'}</h1>
        <p className="muted">Keeps this stack in sync with the systems around it, on the stack's own token.</p>
      </header>
      {installation.status === 'unclaimed' ? (
        <Notice tone="wait" title="This organization is not served by this Quayside yet.">
          <p>Whoever runs it must list the organization {installation.organizationUid}. Until then nothing happens here.</p>
        </Notice>
      ) : null}
      {installation.hold && installation.token?.status !== 'dead' ? (
        <Notice tone="wait" title={installation.hold.reason}>
          <p>Jobs of this stack wait; nothing is lost.</p>
        </Notice>
      ) : null}
      {stackAdmin === false ? <NotAdmin stackName={installation.stackName} /> : <TokenSection />}
      {stackAdmin === true ? <Configured /> : null}
    </main>
  )
}

function Configured() {
  const custody = useCustody()
  const connections = useConnections()
  const syncs = useSyncs()
  const predecessors = usePredecessors()
  const current = custody.data?.current
  const standing = current?.status === 'active' && !current.exposed
  const connected = (connections.data?.items.length ?? 0) > 0
  const before = (predecessors.data?.items.length ?? 0) > 0
  const synced = (syncs.data?.items.length ?? 0) > 0
  return (
    <>
      <Predecessors primary={standing && !connected} />
      <ConnectionsSection primary={standing && !connected && !before} />
      <SyncsSection primary={standing && connected && !synced} />
      <KeysSection />
      <AlertsSection />
      <LeaveSection />
    </>
  )
}
