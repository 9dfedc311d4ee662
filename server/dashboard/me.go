package dashboard

func (d *dashboard) me() {}
