"""Words in the names of parties that tell nobody which party it is, and words for what one does."""

from __future__ import annotations

ROLES = frozenset(
    """
    company corporation licensor licencor licensee licencee sublicensee buyer seller supplier
    customer client vendor purchaser party parties agent distributor franchisor franchisee
    franchise consultant contractor subcontractor provider sponsor manufacturer lessor lessee
    landlord tenant owner operator agreement effective date affiliate service product territory
    term member partner partnership recipient discloser employer employee borrower lender bank
    trustee guarantor guarantee investor shareholder stockholder holder reseller publisher
    developer promoter producer artist author carrier shipper transporter servicer depositor issuer
    administrator adviser advisor manager broker dealer underwriter subadviser custodian fund trust
    portfolio insurer reinsurer insured assignor assignee transferor transferee grantor grantee
    pledgor creditor debtor obligor principal representative rep host co-host cohost user network
    site website team club venture joint venturer parent subsidiary target merger sub holdco opco
    hospital institution university school city county state government authority commission
    the a an or and of in as each other its our we us you your they it he she i by to with for
    if at all neither nor unless any such that said on during between among whether not no act
    talent charterer lead-manager authorized exclusive executive lead initial sole first second
    third operating channel
    marketing strategic master area sub-licensee end seconding receiving disclosing indemnifying
    indemnified non-defaulting defaulting transaction entity entities group persons person
    individual individuals side sides firm counsel escrow seconded executives founder founders
    remarketing placement collateral paying transfer calculation settlement dealer-manager
    contributor content merchant processor acquirer acquiror sales selling participant applicant
    """.split()  # noqa: SIM905
)
"""What a party is called by what it does, without its plural."""

_GENERAL = """
    inc incorporated corp corporation company co limited ltd llc llp lp plc gmbh ag se sa spa sarl
    nv bv pty pte oy ab kg kk the of and for de la le el del van von der a an in at by to with new
    first second third one two three general national international global worldwide world united
    universal american americas european asian african pacific atlantic north south east west
    northern southern eastern western central federal public private royal standard premier advanced
    applied allied associated integrated industrial commercial independent original best great big
    digital electronic electronics electric energy power oil gas petroleum resources mining metals
    gold silver water solar wind nuclear environmental chemical chemicals materials plastics steel
    paper food foods beverage beverages restaurant restaurants hotel hotels travel airlines airways
    air aviation aerospace marine shipping transport transportation logistics motor motors auto
    automotive vehicle vehicles health healthcare medical medicine medicines pharma pharmaceutical
    pharmaceuticals therapeutics biotech biotechnology biopharma biosciences bioscience biologics
    biomedical life science sciences laboratories laboratory labs diagnostics devices research
    development technology technologies tech systems system software hardware computer computers
    computing data information network networks networking internet online web mobile wireless
    telecom telecommunications communications communication cable satellite media entertainment
    broadcasting radio television film films pictures studios studio music records publishing
    publications press news sports games gaming interactive education educational learning training
    financial finance capital investment investments investors bank banking bancorp trust insurance
    assurance mutual credit securities equity asset assets management managers advisors advisers
    advisory consulting consultants partners partnership holdings holding group groups ventures
    venture enterprises enterprise industries industry associates association society foundation
    institute university college center centre council department ministry agency office services
    service solutions products product brands brand retail stores store trading trade export import
    sales marketing advertising promotions design designs manufacturing manufacturers production
    productions construction building engineering engineers equipment tools machinery instruments
    security safety defense home homes house real estate property properties land development
    fund funds series class trustee branch division operations operating acquisition acquisitions
    merger sub business businesses corporate consumer supply distribution wholesale leasing rental
    lease license licensing intellectual rights agreement agreements contract amendment exhibit
    schedule section article party parties effective date between among whereas witnesseth made
    this that these those each such any all no not january february march april may june july
    august september october november december monday tuesday wednesday thursday friday saturday
    sunday president chairman director officer secretary chief executive vice senior board liability
    joint stock company's attention address notice notices facsimile telephone fax suite street
    avenue road floor drive boulevard box plaza tower park place square
    america usa u.s.a u.s us states kingdom u.k uk britain england scotland wales ireland france
    germany italy spain portugal netherlands belgium luxembourg switzerland austria sweden norway
    denmark finland poland russia ukraine turkey greece israel egypt india pakistan china prc japan
    korea taiwan singapore malaysia indonesia thailand vietnam philippines australia zealand canada
    mexico brazil argentina chile colombia peru venezuela bermuda cayman islands island virgin
    bahamas panama africa asia europe hong kong cyprus malta jersey guernsey hungary romania
    bulgaria czech republic saudi arabia emirates kuwait qatar chinese japanese korean french german
    italian spanish british english canadian mexican indian israeli dutch swiss australian
    alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii
    idaho illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan
    minnesota mississippi missouri montana nebraska nevada hampshire mexico york carolina dakota
    ohio oklahoma oregon pennsylvania rhode tennessee texas utah vermont virginia washington
    wisconsin wyoming columbia puerto rico ontario quebec alberta manitoba angeles san francisco
    santa los las vegas chicago boston houston dallas austin atlanta miami seattle denver phoenix
    philadelphia pittsburgh cleveland detroit baltimore london paris berlin munich tokyo beijing
    shanghai shenzhen guangzhou toronto vancouver montreal sydney melbourne dublin amsterdam zurich
    n.a esq dear ladies gentlemen signatory attorney-in-fact compliance a.m p.m
    geneva tel aviv jerusalem mumbai delhi seoul taipei
"""
COMMON = frozenset(_GENERAL.split())
"""Of which no one hides a party: forms of companies, what they deal in, places, days, titles."""
