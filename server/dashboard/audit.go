package dashboard

func (d *dashboard) audits() {}
