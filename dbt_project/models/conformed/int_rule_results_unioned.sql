{{ union_rule_results([
    'capita',
    'confirm',
    'dynamics',
    'erp',
    'fixmystreet',
    'itrent',
    'koha',
    'liquidlogic',
    'mosaic',
    'procurement',
    'regulatory',
    'ssda903',
]) }}
