package dashboard

func (d *dashboard) members() {}
