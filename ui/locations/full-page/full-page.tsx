// The app's own page in the CMS: the syncs of this stack and their latest runs.
import { RecordsSection } from '../../components/stack/records.tsx'
import { RunsSection } from '../../components/stack/runs.tsx'
import { SyncsSection } from '../../components/stack/syncs-section.tsx'
import { useHost } from '../../host/host-provider.tsx'
import { NotAdmin, Pages, pagesIn } from '../admin-only.tsx'
import { Standing } from '../standing.tsx'

const router = pagesIn(<Home />)

export default function FullPage() {
  return <Pages router={router} />
}

function Home() {
  const { session } = useHost()
  return (
    <main className="location">
      <header className="page-head">
        <h1>Quayside</h1>
        <p className="muted">{session.installation.stackName}</p>
      </header>
      <Standing />
      {session.stackAdmin === true ? (
        <>
          <SyncsSection />
          <RunsSection />
          <RecordsSection title="Search records" />
        </>
      ) : session.stackAdmin === false ? (
        <NotAdmin stackName={session.installation.stackName} />
      ) : null}
    </main>
  )
}
